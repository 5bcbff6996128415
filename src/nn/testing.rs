//! What the tests of every layer share: finite differences, and a run on each device.

use candle_core::{DType, Device, Result, Tensor, Var};

/// Smooth, reproducible numbers in (-1, 1), f64.
pub(crate) fn noise(seed: u64, shape: &[usize]) -> Result<Tensor> {
    let n = shape.iter().product::<usize>();
    let wave = |i: usize| ((i as f64 + 1.) * (12.9898 + seed as f64 * 7.233)).sin() * 43758.5453;
    let values: Vec<f64> = (0..n).map(|i| 2. * (wave(i) - wave(i).floor()) - 1.).collect();
    Tensor::from_vec(values, shape, &Device::Cpu)
}

/// Relative error (2-norm) between the gradient of a fixed random projection of `f` with respect to
/// `var` and central differences at up to forty of its entries.
pub(crate) fn gradient_error(var: &Var, f: impl Fn() -> Result<Tensor>) -> Result<f64> {
    assert_eq!(var.dtype(), DType::F64, "finite differences need f64");
    let weights = noise(99, f()?.dims())?;
    let value = || -> Result<Tensor> { (f()? * &weights)?.sum_all() };
    let gradient = value()?.backward()?;
    let gradient = gradient.get(var.as_tensor()).expect("no gradient arrived").flatten_all()?.to_vec1::<f64>()?;
    let start = var.flatten_all()?.to_vec1::<f64>()?;
    let (mut error, mut norm) = (0f64, 0f64);
    for at in (0..start.len()).step_by(start.len().div_ceil(40)) {
        let mut central = 0.;
        for (step, sign) in [(1e-5, 1.), (-1e-5, -1.)] {
            let mut moved = start.clone();
            moved[at] += step;
            var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu)?)?;
            central += sign * value()?.to_scalar::<f64>()? / 2e-5;
        }
        error += (gradient[at] - central).powi(2);
        norm += central.powi(2);
    }
    var.set(&Tensor::from_vec(start, var.shape(), &Device::Cpu)?)?;
    Ok((error / norm.max(1e-300)).sqrt())
}

/// Makes a test on the CPU of each function that takes a device, and with the feature `cuda` one on the
/// first GPU.
macro_rules! on_each_device {
    ($($name:ident),* $(,)?) => {
        mod cpu {
            $(#[test] fn $name() -> candle_core::Result<()> { super::$name(&candle_core::Device::Cpu) })*
        }
        #[cfg(feature = "cuda")]
        mod cuda {
            $(#[test] fn $name() -> candle_core::Result<()> { super::$name(&$crate::nn::cuda::open(0)?) })*
        }
    };
}
pub(crate) use on_each_device;
