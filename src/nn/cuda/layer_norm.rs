//! Layer norm on the GPU, one warp to a row.

use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::launch::{Input, aligned, allocate, element_of, launch, tensor, with_inputs};
use super::plan;

/// Layer norm over the last dimension with frozen `weight` and `bias`; `None` if no kernel takes these,
/// or if weight or bias needs a gradient.
///
/// # Errors
/// Sizes beyond the kernels', and what the driver reports.
pub(crate) fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Option<Tensor>> {
    let width = weight.elem_count();
    let fits = x.dims().last() == Some(&width) && bias.elem_count() == width;
    let Some(element) = element_of(&[x, weight, bias]) else { return Ok(None) };
    if !fits || weight.track_op() || bias.track_op() {
        return Ok(None);
    }
    let norm = plan::Norm { element, rows: x.elem_count() / width, width, epsilon, aligned: true };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, LayerNorm(norm)).map(Some)
}

struct LayerNorm(plan::Norm);

impl LayerNorm {
    fn run(
        &self,
        pass: fn(&plan::Norm) -> std::result::Result<plan::Plan, plan::TooLarge>,
        inputs: [Input; 3],
    ) -> Result<CudaStorage> {
        let norm = plan::Norm { aligned: aligned(&inputs), ..self.0 };
        let device = &inputs[0].storage.device;
        let mut out = allocate(device, norm.element, norm.rows * norm.width)?;
        launch(device, pass(&norm), &inputs, &mut [&mut out])?;
        Ok(out)
    }
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
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
        bail!("the GPU's layer norm was given tensors on the CPU")
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        let inputs = [Input::new(x, xl)?, Input::new(w, wl)?, Input::new(b, bl)?];
        Ok((self.run(plan::Norm::forward, inputs)?, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dx = with_inputs([x, w, dy], |_, inputs| self.run(plan::Norm::backward, inputs))?;
        Ok((Some(tensor(dx, x.shape())), None, None))
    }
}
