//! Layer normalisation over the last dimension (Ba et al. 2016), with a gradient.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, D, DType, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use super::kernel::{Float, Kernel, by_dtype, dot, slice, sum, tensor, vectorised, with_slices};

/// Rows of one piece of work.
const PIECE_ROWS: usize = 64;

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over the last dimension.
#[derive(Debug, Clone)]
pub struct LayerNorm {
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// A layer with `weight` and `bias` `[features]`.
    pub fn new(weight: Tensor, bias: Tensor, epsilon: f64) -> Self {
        Self { weight, bias, epsilon }
    }

    /// Weight, bias and epsilon.
    pub(crate) fn parts(&self) -> (&Tensor, &Tensor, f64) {
        (&self.weight, &self.bias, self.epsilon)
    }

    /// `[..., features]` to the same shape.
    ///
    /// # Errors
    /// A last dimension other than `features`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) {
            return x.contiguous()?.apply_op3(&self.weight, &self.bias, Normalise(self.epsilon));
        }
        #[cfg(feature = "cuda")]
        if let Some(y) = super::cuda::layer_norm(x, &self.weight, &self.bias, self.epsilon)? {
            return Ok(y);
        }
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + self.epsilon)?.sqrt()?;
        centred.broadcast_div(&deviation)?.broadcast_mul(&self.weight)?.broadcast_add(&self.bias)
    }
}

struct Normalise(f64);

/// Writes a row less its mean; answers the reciprocal of its standard deviation.
#[inline(always)]
fn centre<T: Float>(x: &[T], epsilon: f64, centred: &mut [T]) -> T {
    let n = T::of(x.len() as f64);
    let mean = sum(x) / n;
    centred.iter_mut().zip(x).for_each(|(c, x)| *c = *x - mean);
    let variance = dot(centred, centred) / n;
    T::ONE / (variance + T::of(epsilon)).root()
}

/// `(x - mean) / deviation * weight + bias` for rows of `weight.len()` numbers.
pub(super) fn normalise_rows<T: Float>(x: &[T], (weight, bias): (&[T], &[T]), epsilon: f64, out: &mut [T]) {
    vectorised(NormaliseRows { x, weight, bias, epsilon, out });
}

struct NormaliseRows<'a, T> {
    x: &'a [T],
    weight: &'a [T],
    bias: &'a [T],
    epsilon: f64,
    out: &'a mut [T],
}

impl<T: Float> Kernel for NormaliseRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { x, weight, bias, epsilon, out } = self;
        let n = weight.len();
        for (y, x) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
            let scale = centre(x, epsilon, y);
            y.iter_mut().zip(weight).zip(bias).for_each(|((y, w), b)| *y = *y * scale * *w + *b);
        }
    }
}

/// The gradients of rows of `weight.len()` numbers.
pub(super) fn pull_back_rows<T: Float>(x: &[T], weight: &[T], dy: &[T], epsilon: f64, out: &mut [T]) {
    let mut normalised = vec![T::ZERO; weight.len()];
    vectorised(PullBackRows { x, weight, dy, epsilon, out, normalised: &mut normalised });
}

struct PullBackRows<'a, T> {
    x: &'a [T],
    weight: &'a [T],
    dy: &'a [T],
    epsilon: f64,
    out: &'a mut [T],
    normalised: &'a mut [T],
}

impl<T: Float> Kernel for PullBackRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { x, weight, dy, epsilon, out, normalised } = self;
        let n = weight.len();
        let inverse = T::ONE / T::of(n as f64);
        for ((dx, x), dy) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)).zip(dy.chunks_exact(n)) {
            let scale = centre(x, epsilon, normalised);
            normalised.iter_mut().for_each(|v| *v *= scale);
            dx.iter_mut().zip(dy).zip(weight).for_each(|((g, d), w)| *g = *d * *w);
            let (mean, along) = (sum(dx) * inverse, dot(dx, normalised) * inverse);
            dx.iter_mut().zip(&*normalised).for_each(|(g, v)| *g = scale * (*g - mean - *v * along));
        }
    }
}

fn forward<T: Float>(x: &[T], weight: &[T], bias: &[T], epsilon: f64) -> Vec<T> {
    let piece = PIECE_ROWS * weight.len();
    let mut out = vec![T::ZERO; x.len()];
    out.par_chunks_mut(piece)
        .zip(x.par_chunks(piece))
        .for_each(|(out, x)| normalise_rows(x, (weight, bias), epsilon, out));
    out
}

fn backward<T: Float>(x: &[T], weight: &[T], dy: &[T], epsilon: f64) -> Vec<T> {
    let piece = PIECE_ROWS * weight.len();
    let mut out = vec![T::ZERO; x.len()];
    let pieces = out.par_chunks_mut(piece).zip(x.par_chunks(piece)).zip(dy.par_chunks(piece));
    pieces.for_each(|((out, x), dy)| pull_back_rows(x, weight, dy, epsilon, out));
    out
}

/// Gradients of weight and bias: sums over all rows.
fn parameter_gradients<T: Float>(x: &[T], dy: &[T], n: usize, epsilon: f64) -> (Vec<T>, Vec<T>) {
    let (mut dw, mut db, mut normalised) = (vec![T::ZERO; n], vec![T::ZERO; n], vec![T::ZERO; n]);
    vectorised(ParameterGradients { x, dy, epsilon, dw: &mut dw, db: &mut db, normalised: &mut normalised });
    (dw, db)
}

struct ParameterGradients<'a, T> {
    x: &'a [T],
    dy: &'a [T],
    epsilon: f64,
    dw: &'a mut [T],
    db: &'a mut [T],
    normalised: &'a mut [T],
}

impl<T: Float> Kernel for ParameterGradients<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { x, dy, epsilon, dw, db, normalised } = self;
        let n = dw.len();
        for (x, dy) in x.chunks_exact(n).zip(dy.chunks_exact(n)) {
            let scale = centre(x, epsilon, normalised);
            for i in 0..n {
                dw[i] += dy[i] * normalised[i] * scale;
                db[i] += dy[i];
            }
        }
    }
}

impl CustomOp3 for Normalise {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        if xl.dims().last() != Some(&wl.shape().elem_count()) {
            candle_core::bail!("a layer norm over {:?} was given {:?}", wl.shape(), xl.shape());
        }
        let storage = by_dtype!("layer norm", x.dtype(), T => {
            let y = forward::<T>(slice(x, xl)?, slice(w, wl)?, slice(b, bl)?, self.0);
            Ok(T::to_cpu_storage_owned(y))
        })?;
        Ok((storage, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        by_dtype!("layer norm", x.dtype(), T => {
            let dx = with_slices([x, w, dy], |[x, w, dy]: [&[T]; 3]| backward(x, w, dy, self.0))?;
            let dx = Some(tensor(dx, x.shape())?);
            if !w.track_op() && !b.track_op() {
                return Ok((dx, None, None));
            }
            let n = w.elem_count();
            let (dw, db) = with_slices([x, dy], |[x, dy]: [&[T]; 2]| parameter_gradients(x, dy, n, self.0))?;
            Ok((dx, Some(tensor(dw, n)?), Some(tensor(db, n)?)))
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
        let x = Var::from_tensor(&noise(1, &[3, 70, 9])?)?;
        let (w, b) = (Var::from_tensor(&noise(2, &[9])?)?, Var::from_tensor(&noise(3, &[9])?)?);
        for var in [&x, &w, &b] {
            let f = || LayerNorm::new(w.as_tensor().clone(), b.as_tensor().clone(), 1e-5).forward(x.as_tensor());
            let error = gradient_error(var, f)?;
            assert!(error < 1e-6, "relative error {error}");
        }
        Ok(())
    }

    #[test]
    fn the_kernel_agrees_with_its_definition() -> Result<()> {
        let (x, w, b) = (noise(1, &[5, 40])?, noise(2, &[40])?, noise(3, &[40])?);
        let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(1)? + 1e-5)?.sqrt()?;
        let wanted = centred.broadcast_div(&deviation)?.broadcast_mul(&w)?.broadcast_add(&b)?;
        let found = LayerNorm::new(w, b, 1e-5).forward(&x)?;
        assert!((wanted - found)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
        Ok(())
    }
}
