//! The fastest matrix product of this program, which a step cannot exceed.

use candle_core::{DType, Device, Tensor};

use super::{BenchError, Timing};
use crate::nn::Linear;

/// Rows, inputs and outputs of the product: large enough that nothing but arithmetic counts, and divisible by all
/// blocks that kernels work in.
const SIZE: usize = 3072;

/// 10^9 floating-point operations a second of a large linear layer, on all threads.
///
/// # Errors
/// A device without room for three large matrices.
pub fn measure(device: &Device, dtype: DType, runs: usize) -> Result<f64, BenchError> {
    of_size(SIZE, device, dtype, runs)
}

fn of_size(size: usize, device: &Device, dtype: DType, runs: usize) -> Result<f64, BenchError> {
    let matrix = || Tensor::rand(-1f32, 1., (size, size), device)?.to_dtype(dtype);
    let (layer, x) = (Linear::new(&matrix()?, None)?, matrix()?.unsqueeze(0)?);
    let timing = Timing::of(runs, || {
        layer.forward(&x)?;
        device.synchronize()
    })?;
    // The least: a peak is what the machine does when nothing disturbs it.
    Ok(2. * (size as f64).powi(3) / timing.least_s / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_has_a_speed() {
        let gflops = of_size(128, &Device::Cpu, DType::F32, 2).unwrap();
        assert!(gflops.is_finite() && gflops > 0.1, "{gflops}");
    }
}
