//! What the CPU kernels share: the two float types, access to a tensor's numbers, vectorisation.

use candle_core::{CpuStorage, DType, Device, Layout, Result, Shape, Storage, Tensor, WithDType, bail};

/// `f32` (the working type) or `f64` (finite-difference tests).
pub(crate) trait Float:
    WithDType
    + Copy
    + Default
    + Send
    + Sync
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + std::ops::AddAssign
    + std::ops::MulAssign
    + PartialOrd
    + 'static
{
    const ZERO: Self;
    const ONE: Self;
    const LOWEST: Self;
    /// Exponents of probabilities that cannot be told from none: far below the rounding error of the largest, and small
    /// enough for their products with gradients to become denormal numbers, on which processors are very slow.
    const NEGLIGIBLE: Self;
    fn of(value: f64) -> Self;
    fn exponential(self) -> Self;
    fn root(self) -> Self;
    fn logarithm(self) -> Self;
}

impl Float for f32 {
    const ZERO: Self = 0.;
    const ONE: Self = 1.;
    const LOWEST: Self = f32::NEG_INFINITY;
    const NEGLIGIBLE: Self = -50.;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value as f32
    }
    /// Polynomial exponential, relative error below 2e-7; branch-free so that loops over it
    /// vectorise, which the library call does not.
    #[inline(always)]
    fn exponential(self) -> Self {
        const LOG2_E: f32 = std::f32::consts::LOG2_E;
        // ln 2 in two parts, so that x - n ln 2 loses no digits
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        // adding and subtracting 1.5 * 2^23 rounds to the nearest integer
        const ROUND: f32 = 12_582_912.;
        let x = if self < -87. { -87. } else { self };
        let x = if x > 88. { 88. } else { x };
        let shifted = x * LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = x - n * LN2_HIGH - n * LN2_LOW;
        let p = 1.0 / 5040.;
        let p = p * r + 1.0 / 720.;
        let p = p * r + 1.0 / 120.;
        let p = p * r + 1.0 / 24.;
        let p = p * r + 1.0 / 6.;
        let p = p * r + 0.5;
        let p = p * r * r + r + 1.;
        // n stands in the lowest bits of the shifted number; a conversion to an integer would not vectorise
        let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
        p * scale
    }
    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn logarithm(self) -> Self {
        self.ln()
    }
}

impl Float for f64 {
    const ZERO: Self = 0.;
    const ONE: Self = 1.;
    const LOWEST: Self = f64::NEG_INFINITY;
    const NEGLIGIBLE: Self = -500.;
    #[inline(always)]
    fn of(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn exponential(self) -> Self {
        self.exp()
    }
    #[inline(always)]
    fn root(self) -> Self {
        self.sqrt()
    }
    #[inline(always)]
    fn logarithm(self) -> Self {
        self.ln()
    }
}

/// Sum with sixteen accumulators: the order is fixed, and the loop vectorises.
#[inline(always)]
pub(crate) fn sum<T: Float>(values: &[T]) -> T {
    let mut lanes = [T::ZERO; 16];
    let (body, tail) = values.as_chunks::<16>();
    for chunk in body {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += *v;
        }
    }
    for (lane, v) in lanes.iter_mut().zip(tail) {
        *lane += *v;
    }
    lanes.into_iter().fold(T::ZERO, |a, b| a + b)
}

/// The largest number, with sixteen maxima at a time so that the loop vectorises.
#[inline(always)]
pub(crate) fn largest<T: Float>(values: &[T]) -> T {
    let mut lanes = [T::LOWEST; 16];
    let (body, tail) = values.as_chunks::<16>();
    for chunk in body {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane = if *v > *lane { *v } else { *lane };
        }
    }
    lanes.iter().chain(tail).fold(T::LOWEST, |a, b| if *b > a { *b } else { a })
}

/// A term of a softmax: the exponential of a number that is at most zero, up to rounding.
#[inline(always)]
pub(crate) fn softmax_term<T: Float>(exponent: T) -> T {
    let term = exponent.exponential();
    if exponent > T::NEGLIGIBLE { term } else { T::ZERO }
}

/// Dot product with sixteen accumulators.
#[inline(always)]
pub(crate) fn dot<T: Float>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::ZERO; 16];
    let (a_body, a_tail) = a.as_chunks::<16>();
    let (b_body, b_tail) = b.as_chunks::<16>();
    for (x, y) in a_body.iter().zip(b_body) {
        for i in 0..16 {
            lanes[i] += x[i] * y[i];
        }
    }
    for (lane, (x, y)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane += *x * *y;
    }
    lanes.into_iter().fold(T::ZERO, |a, b| a + b)
}

/// A loop over numbers.
///
/// `run` should be `#[inline(always)]`, and so should what it calls: a function that stays one of its own knows nothing
/// of the vector instructions around its call. That is why a closure, which may stay one, is no kernel.
pub(crate) trait Kernel {
    /// What it answers.
    type Output;
    /// Runs the loop.
    fn run(self) -> Self::Output;
}

/// Runs a kernel compiled for the best vector instructions of this machine.
pub(crate) fn vectorised<K: Kernel>(kernel: K) -> K::Output {
    struct Run<K>(K);
    impl<K: Kernel> pulp::WithSimd for Run<K> {
        type Output = K::Output;
        #[inline(always)]
        fn with_simd<S: pulp::Simd>(self, _: S) -> K::Output {
            self.0.run()
        }
    }
    pulp::Arch::new().dispatch(Run(kernel))
}

/// The numbers of a contiguous operand.
pub(crate) fn slice<'a, T: Float>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let values = storage.as_slice::<T>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => bail!("a kernel was given a strided operand of shape {:?}", layout.shape()),
    }
}

/// Calls `f` with the numbers of each tensor; all must be contiguous and on the CPU.
pub(crate) fn with_slices<T: Float, R, const N: usize>(
    tensors: [&Tensor; N],
    f: impl FnOnce([&[T]; N]) -> R,
) -> Result<R> {
    let contiguous: Vec<Tensor> = tensors.iter().map(|t| t.contiguous()).collect::<Result<_>>()?;
    let guards: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let mut slices: [&[T]; N] = [&[]; N];
    for (to, (storage, layout)) in slices.iter_mut().zip(&guards) {
        *to = match &**storage {
            Storage::Cpu(cpu) => slice(cpu, layout)?,
            _ => bail!("a CPU kernel was given a tensor of another device"),
        };
    }
    Ok(f(slices))
}

/// Wraps the result of a kernel in a tensor on the CPU.
pub(crate) fn tensor<T: Float>(values: Vec<T>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

/// The CPU kernels take f32 and f64.
pub(crate) fn unsupported<R>(what: &str, dtype: DType) -> Result<R> {
    bail!("{what} on the CPU takes f32 or f64, not {dtype:?}")
}

/// Expands `$call` once for each float type: `by_dtype!("name", dtype, T => expression)`.
macro_rules! by_dtype {
    ($what:literal, $dtype:expr, $t:ident => $call:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $t = f32;
                $call
            }
            candle_core::DType::F64 => {
                type $t = f64;
                $call
            }
            other => $crate::nn::kernel::unsupported($what, other),
        }
    };
}
pub(crate) use by_dtype;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomial_exponential_is_accurate_and_never_overflows() {
        for i in -8700..8800 {
            let x = i as f32 / 100.;
            let wanted = f64::from(x).exp();
            let error = (f64::from(x.exponential()) - wanted).abs() / wanted;
            assert!(error < 3e-7, "exp({x}): relative error {error}");
        }
        assert!(f32::NEG_INFINITY.exponential() < 1e-37);
        assert!(f32::INFINITY.exponential().is_finite());
    }

    #[test]
    fn sums_and_dot_products_include_the_tail() {
        let values: Vec<f64> = (0..37).map(f64::from).collect();
        assert_eq!(sum(&values), 666.);
        assert_eq!(dot(&values, &values), (0..37).map(|i| f64::from(i * i)).sum::<f64>());
    }
}
