//! Quick GELU on the GPU.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use super::launch::{Input, aligned, allocate, element_of, launch, tensor, with_inputs};
use super::plan::{self, Element};

/// `x sigmoid(1.702 x)`; `None` if no kernel takes `x`.
///
/// # Errors
/// Sizes beyond the kernels', and what the driver reports.
pub(crate) fn quick_gelu(x: &Tensor) -> Result<Option<Tensor>> {
    let Some(element) = element_of(&[x]) else { return Ok(None) };
    x.contiguous()?.apply_op1(QuickGelu(element)).map(Some)
}

struct QuickGelu(Element);

impl CustomOp1 for QuickGelu {
    fn name(&self) -> &'static str {
        "quick-gelu"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        bail!("the GPU's quick GELU was given a tensor on the CPU")
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> Result<(CudaStorage, Shape)> {
        let (count, inputs) = (layout.shape().elem_count(), [Input::new(x, layout)?]);
        let mut y = allocate(&x.device, self.0, count)?;
        launch(&x.device, plan::quick_gelu(self.0, count, aligned(&inputs)), &inputs, &mut [&mut y])?;
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        with_inputs([x, dy], |device, inputs| {
            let count = x.elem_count();
            let mut dx = allocate(device, self.0, count)?;
            launch(device, plan::quick_gelu_gradient(self.0, count, aligned(&inputs)), &inputs, &mut [&mut dx])?;
            Ok(Some(tensor(dx, x.shape())))
        })
    }
}
