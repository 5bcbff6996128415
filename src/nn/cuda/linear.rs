//! `y = x W^T + b` on the GPU: products by cuBLAS, the bias by a kernel of ours.
//!
//! cuBLAS reads a matrix in either orientation at the same cost, so no transposed copy of a weight is
//! made or kept: `W` `[out, in]` as it lies is the transposed operand forward and the plain one backward.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};

use super::launch::{Input, aligned, element, element_of, launch, unsupported};
use super::plan;

/// A linear layer over the last dimension; a weight or bias gets a gradient only if it is a variable.
/// `None` if no kernel takes these.
///
/// # Errors
/// A last dimension other than the weight's, sizes beyond the kernels', and what the driver reports.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Option<Tensor>> {
    if element_of(&[x, weight, bias]).is_none() {
        return Ok(None);
    }
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear).map(Some)
}

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
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
        bail!("the GPU's linear layer was given tensors on the CPU")
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
        let (out, inner) = wl.shape().dims2()?;
        let mut dims = xl.dims().to_vec();
        match dims.last_mut() {
            Some(last) if *last == inner => *last = out,
            _ => bail!("a linear layer of {inner} inputs was given {dims:?}"),
        }
        let Some(element) = element(x.dtype()) else { return unsupported(x.dtype()) };
        let rows = xl.shape().elem_count() / inner;
        let matrix = Layout::contiguous_with_offset((rows, inner), xl.start_offset());
        let mut y = x.matmul(w, (1, rows, out, inner), &matrix, &wl.transpose(0, 1)?)?;
        let bias = [Input::new(b, bl)?];
        let plan = plan::add_bias(element, rows * out, out, aligned(&bias));
        launch(&x.device, plan, &bias, &mut [&mut y])?;
        Ok((y, dims.into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (out, inner) = w.dims2()?;
        // detached: a gradient is not differentiated again
        let (dy, x_rows) = (dy.detach().contiguous()?.reshape(((), out))?, x.detach().reshape(((), inner))?);
        let dx = dy.matmul(&w.detach())?.reshape(x.shape())?;
        let dw = if w.track_op() { Some(dy.t()?.matmul(&x_rows)?) } else { None };
        let db = if b.track_op() { Some(dy.sum(0)?) } else { None };
        Ok((Some(dx), dw, db))
    }
}
