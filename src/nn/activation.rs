//! Pointwise non-linearities.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use super::kernel::{Float, Kernel, by_dtype, slice, tensor, vectorised, with_slices};

/// Numbers of one piece of work.
const PIECE: usize = 1 << 14;

/// The non-linearities that CLIPSeg configurations name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x sigmoid(1.702 x)`, CLIP's own.
    QuickGelu,
    /// `max(x, 0)`, the decoder's.
    Relu,
    /// `x Phi(x)`, exact.
    Gelu,
}

impl Activation {
    /// Applies the non-linearity.
    ///
    /// # Errors
    /// A dtype the device cannot handle.
    pub fn forward(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::QuickGelu => quick_gelu(x),
            Self::Relu => x.relu(),
            Self::Gelu => x.gelu_erf(),
        }
    }

    /// Whether [`Self::apply`] and [`Self::pull_back`] know it.
    pub(super) fn has_kernel(self) -> bool {
        self != Self::Gelu
    }

    /// Writes the activation of `x` to `y`.
    pub(super) fn apply<T: Float>(self, x: &[T], y: &mut [T]) {
        match self {
            Self::QuickGelu => vectorised(Gated { x, y }),
            Self::Relu => vectorised(Rectified { x, y }),
            Self::Gelu => unreachable!("has no kernel"),
        }
    }

    /// Turns the gradient of the activation of `x` into that of `x`.
    pub(super) fn pull_back<T: Float>(self, x: &[T], dy: &mut [T]) {
        match self {
            Self::QuickGelu => vectorised(GatedPullBack { x, dy }),
            Self::Relu => vectorised(RectifiedPullBack { x, dy }),
            Self::Gelu => unreachable!("has no kernel"),
        }
    }
}

struct Gated<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for Gated<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.y.iter_mut().zip(self.x).for_each(|(y, x)| *y = *x * gate(*x));
    }
}

struct GatedPullBack<'a, T> {
    x: &'a [T],
    dy: &'a mut [T],
}

impl<T: Float> Kernel for GatedPullBack<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.dy.iter_mut().zip(self.x).for_each(|(dy, x)| *dy *= slope(*x));
    }
}

struct Rectified<'a, T> {
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float> Kernel for Rectified<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.y.iter_mut().zip(self.x).for_each(|(y, x)| *y = if *x > T::ZERO { *x } else { T::ZERO });
    }
}

struct RectifiedPullBack<'a, T> {
    x: &'a [T],
    dy: &'a mut [T],
}

impl<T: Float> Kernel for RectifiedPullBack<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.dy.iter_mut().zip(self.x).for_each(|(dy, x)| *dy = if *x > T::ZERO { *dy } else { T::ZERO });
    }
}

/// `x sigmoid(1.702 x)`.
///
/// # Errors
/// A dtype the device cannot handle.
pub fn quick_gelu(x: &Tensor) -> Result<Tensor> {
    if x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) {
        return x.contiguous()?.apply_op1(QuickGelu);
    }
    #[cfg(feature = "cuda")]
    if let Some(y) = super::cuda::quick_gelu(x)? {
        return Ok(y);
    }
    let gate = (((x * -1.702)?.exp()? + 1.)?).recip()?;
    x * gate
}

struct QuickGelu;

#[inline(always)]
fn gate<T: Float>(x: T) -> T {
    T::ONE / (T::ONE + (T::of(-1.702) * x).exponential())
}

/// The derivative of `x sigmoid(1.702 x)`.
#[inline(always)]
fn slope<T: Float>(x: T) -> T {
    let g = gate(x);
    g * (T::ONE + T::of(1.702) * x * (T::ONE - g))
}

impl CustomOp1 for QuickGelu {
    fn name(&self) -> &'static str {
        "quick-gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = by_dtype!("quick gelu", x.dtype(), T => {
            let x = slice::<T>(x, layout)?;
            let mut y = vec![T::ZERO; x.len()];
            y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| Activation::QuickGelu.apply(x, y));
            Ok(T::to_cpu_storage_owned(y))
        })?;
        Ok((storage, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!("quick gelu", x.dtype(), T => {
            let dx = with_slices([x, dy], |[x, dy]: [&[T]; 2]| {
                let mut dx = dy.to_vec();
                let pieces = dx.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE));
                pieces.for_each(|(dx, x)| Activation::QuickGelu.pull_back(x, dx));
                dx
            })?;
            Ok(Some(tensor(dx, x.shape())?))
        })
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::nn::testing::{gradient_error, noise};

    #[test]
    fn gradients_agree_with_finite_differences() -> Result<()> {
        let x = Var::from_tensor(&(noise(1, &[7, 31])? * 4.)?)?;
        for activation in [Activation::QuickGelu, Activation::Relu, Activation::Gelu] {
            let error = gradient_error(&x, || activation.forward(x.as_tensor()))?;
            assert!(error < 2e-6, "{activation:?}: relative error {error}");
        }
        Ok(())
    }

    #[test]
    fn the_f32_kernel_agrees_with_its_definition() -> Result<()> {
        let x = (noise(4, &[1000])? * 30.)?;
        let wanted = (&x * ((&x * -1.702)?.exp()? + 1.)?.recip()?)?;
        let found = quick_gelu(&x.to_dtype(DType::F32)?)?.to_dtype(DType::F64)?;
        assert!((wanted - found)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-5);
        Ok(())
    }
}
