//! Channels of a tensor as plain numbers, for transformations that are no tensor operations.

use candle_core::{Device, Result, Tensor};

/// `x` `[3, h, w]` with each channel changed by itself; the size is (width, height). On the device of `x`.
pub(super) fn each(x: &Tensor, change: impl Fn(&mut Vec<f32>, (usize, usize))) -> Result<Tensor> {
    let (_, height, width) = x.dims3()?;
    let channel = |plane: Vec<Vec<f32>>| {
        let mut plane = plane.concat();
        change(&mut plane, (width, height));
        Tensor::from_vec(plane, (height, width), &Device::Cpu)
    };
    let planes: Vec<Tensor> = x.to_vec3::<f32>()?.into_iter().map(channel).collect::<Result<_>>()?;
    Tensor::stack(&planes, 0)?.to_device(x.device())
}
