//! The step of an attack inside an Linf ball, in one kernel.

use candle_core::{Result, Tensor};

use super::launch::{allocate, element_of, launch, tensor, with_inputs};
use super::plan::{Advance, Element};

/// `x + alpha sign(gradient)`, cut to `radius` around `clean` and to `range`; nothing moves where
/// `region` is 0. All of one shape. `None` if no kernel takes these.
///
/// # Errors
/// Sizes beyond the kernels', and what the driver reports.
pub(crate) fn advance(
    x: &Tensor,
    gradient: &Tensor,
    (clean, radius): (&Tensor, f64),
    region: Option<&Tensor>,
    alpha: f64,
    range: Option<(f64, f64)>,
) -> Result<Option<Tensor>> {
    // without a region its buffer is not read
    let tensors = [x, gradient, clean, region.unwrap_or(clean)];
    let alike = tensors.iter().all(|tensor| tensor.dims() == x.dims());
    if !alike || element_of(&tensors) != Some(Element::F32) {
        return Ok(None);
    }
    let step = Advance { count: x.elem_count(), masked: region.is_some(), alpha, radius, range };
    with_inputs(tensors, |device, inputs| {
        let mut next = allocate(device, Element::F32, step.count)?;
        launch(device, step.plan(), &inputs, &mut [&mut next])?;
        Ok(Some(tensor(next, x.shape())))
    })
}
