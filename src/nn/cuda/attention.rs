//! Attention on the GPU: the scores are never in memory.

use std::sync::OnceLock;

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::launch::{Input, aligned, allocate, element_of, launch, tensor, with_inputs};
use super::plan::{self, Element, WIDEST_HEAD};

/// Attention of `heads` heads over `[items, tokens, features]`; `None` if no kernel takes these.
///
/// # Errors
/// Sizes beyond the kernels', and what the driver reports.
pub(crate) fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, causal: bool) -> Result<Option<Tensor>> {
    let (items, tokens, features) = q.dims3()?;
    let width = features / heads;
    let Some(element) = element_of(&[q, k, v]) else { return Ok(None) };
    if width > WIDEST_HEAD {
        return Ok(None);
    }
    let shape = plan::Attention { element, items, tokens, heads, width, causal, aligned: true };
    if shape.on_tensor_cores() && !segprobe_kernels::TENSOR_CORES {
        return Ok(None);
    }
    let op = Attention { shape, normaliser: OnceLock::new() };
    q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op).map(Some)
}

struct Attention {
    shape: plan::Attention,
    /// log2 of the sum that normalises each row of probabilities, from the forward pass, f32.
    normaliser: OnceLock<Tensor>,
}

impl Attention {
    /// The shape, with what is known only now about the operands.
    fn shape(&self, inputs: &[Input]) -> plan::Attention {
        plan::Attention { aligned: aligned(inputs), ..self.shape }
    }

    fn rows(&self) -> usize {
        self.shape.items * self.shape.heads * self.shape.tokens
    }

    fn numbers(&self) -> usize {
        self.rows() * self.shape.width
    }
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        bail!("the GPU's attention was given tensors on the CPU")
    }

    fn cuda_fwd(
        &self,
        q: &CudaStorage,
        ql: &Layout,
        k: &CudaStorage,
        kl: &Layout,
        v: &CudaStorage,
        vl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let inputs = [Input::new(q, ql)?, Input::new(k, kl)?, Input::new(v, vl)?];
        let mut y = allocate(&q.device, self.shape.element, self.numbers())?;
        let mut normaliser = allocate(&q.device, Element::F32, self.rows())?;
        launch(&q.device, self.shape(&inputs).forward(), &inputs, &mut [&mut y, &mut normaliser])?;
        if self.normaliser.set(tensor(normaliser, self.rows())).is_err() {
            bail!("one attention was run forward twice");
        }
        Ok((y, ql.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(normaliser) = self.normaliser.get() else { bail!("attention was run backward before it ran forward") };
        with_inputs([q, k, v, y, dy, normaliser], |device, [q_in, k_in, v_in, y_in, dy_in, normaliser]| {
            let shape = self.shape(&[q_in, k_in, v_in, y_in, dy_in]);
            let make = || allocate(device, shape.element, self.numbers());
            let (mut dq, mut dk, mut dv) = (make()?, make()?, make()?);
            let mut delta = allocate(device, Element::F32, self.rows())?;
            let inputs = [q_in, k_in, v_in, y_in, dy_in, normaliser];
            launch(device, shape.backward_queries(), &inputs, &mut [&mut dq, &mut delta])?;
            let delta = Input::new(&delta, &Layout::contiguous(self.rows()))?;
            let inputs = [q_in, k_in, v_in, dy_in, normaliser, delta];
            launch(device, shape.backward_keys(), &inputs, &mut [&mut dk, &mut dv])?;
            let wrap = |gradient| Some(tensor(gradient, q.shape()));
            Ok((wrap(dq), wrap(dk), wrap(dv)))
        })
    }
}
