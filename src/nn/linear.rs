//! `y = x W^T + b` without a gradient for frozen weights.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::gemm::{Mode, View, gemm};
use super::kernel::{Float, by_dtype, slice, tensor, with_slices};

/// Rows of one piece of work. Fixed, so that results do not depend on the number of threads.
const PIECE_ROWS: usize = 256;

/// A linear layer; its weight gets a gradient only if it is a variable.
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[out, in]`
    weight: Tensor,
    /// `[in, out]`, contiguous, kept for frozen weights on the CPU: both directions then read rows.
    transposed: Option<Tensor>,
    /// `[out]`
    bias: Tensor,
}

impl Linear {
    /// A layer with `weight` `[out, in]` and `bias` `[out]` (zero if absent).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let (out, _) = weight.dims2()?;
        let bias = match bias {
            Some(bias) if bias.dims() == [out] => bias.clone(),
            Some(bias) => bail!("a bias of shape {:?} for {out} outputs", bias.shape()),
            None => Tensor::zeros(out, weight.dtype(), weight.device())?,
        };
        let frozen = !weight.track_op() && !bias.track_op();
        let transposed = if frozen && weight.device().is_cpu() { Some(weight.t()?.contiguous()?) } else { None };
        Ok(Self { weight: weight.contiguous()?, transposed, bias })
    }

    /// `[..., rows, in]` to `[..., rows, out]`.
    ///
    /// # Errors
    /// A last dimension other than `in`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) {
            let op = Affine { transposed: self.transposed.clone() };
            return x.contiguous()?.apply_op3(&self.weight, &self.bias, op);
        }
        #[cfg(feature = "cuda")]
        if let Some(y) = super::cuda::linear(x, &self.weight, &self.bias)? {
            return Ok(y);
        }
        x.broadcast_matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

struct Affine {
    transposed: Option<Tensor>,
}

impl Affine {
    fn run<T: Float>(&self, x: &[T], w: &[T], b: &[T], rows: usize) -> Result<Vec<T>> {
        match &self.transposed {
            Some(t) => with_slices([t], |[t]| product(x, View::rows(t, b.len()), b, rows)),
            None => Ok(product(x, View::rows(w, w.len() / b.len()).t(), b, rows)),
        }
    }
}

/// `x right + bias` for a dense `right` `[k, n]`; each item of `rows` rows is split by itself.
fn product<T: Float>(x: &[T], right: View<T>, bias: &[T], rows: usize) -> Vec<T> {
    let n = bias.len();
    let k = right.data.len() / n;
    let items = x.len() / (rows * k).max(1);
    let mut out = vec![T::ZERO; items * rows * n];
    let pieces = rows.div_ceil(PIECE_ROWS).max(1);
    let height = rows.div_ceil(pieces);
    out.par_chunks_mut(rows * n).zip(x.par_chunks(rows * k)).for_each(|(out, x)| {
        out.par_chunks_mut(height * n).zip(x.par_chunks(height * k)).for_each(|(out, x)| {
            let m = x.len() / k;
            out.chunks_exact_mut(n).for_each(|row| row.copy_from_slice(bias));
            gemm((m, n, k), View::rows(x, k), right, (out, n), T::ONE, Mode::Add);
        });
    });
    out
}

/// The gradient with respect to the weight: `dy^T x` over all rows, a block of outputs a task.
fn weight_gradient<T: Float>(x: &[T], dy: &[T], (out, inner): (usize, usize)) -> Vec<T> {
    let rows = dy.len() / out;
    let block = out.div_ceil(4).max(16);
    let mut gradient = vec![T::ZERO; out * inner];
    gradient.par_chunks_mut(block * inner).enumerate().for_each(|(i, piece)| {
        let m = piece.len() / inner;
        let left = View::rows(&dy[i * block..], out).t();
        gemm((m, inner, rows), left, View::rows(x, inner), (piece, inner), T::ONE, Mode::Overwrite);
    });
    gradient
}

fn bias_gradient<T: Float>(dy: &[T], out: usize) -> Vec<T> {
    let mut gradient = vec![T::ZERO; out];
    for row in dy.chunks_exact(out) {
        gradient.iter_mut().zip(row).for_each(|(g, d)| *g += *d);
    }
    gradient
}

/// Rows of one item: the second dimension from the end.
fn rows_of(dims: &[usize]) -> usize {
    if dims.len() < 2 { 1 } else { dims[dims.len() - 2] }
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "linear"
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
        let (out, inner) = wl.shape().dims2()?;
        let dims = xl.dims();
        if dims.last() != Some(&inner) {
            bail!("a linear layer of {inner} inputs was given {dims:?}");
        }
        let mut shape = dims.to_vec();
        *shape.last_mut().expect("checked above") = out;
        let rows = rows_of(dims);
        let storage = by_dtype!("a linear layer", w.dtype(), T => {
            let y = self.run::<T>(slice(x, xl)?, slice(w, wl)?, slice(b, bl)?, rows)?;
            Ok(T::to_cpu_storage_owned(y))
        })?;
        Ok((storage, shape.into()))
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
        by_dtype!("a linear layer", x.dtype(), T => {
            let dx = with_slices([w, dy], |[w, dy]: [&[T]; 2]| {
                product(dy, View::rows(w, inner), &vec![T::ZERO; inner], rows_of(x.dims()))
            })?;
            let dw = if w.track_op() {
                let dw = with_slices([x, dy], |[x, dy]: [&[T]; 2]| weight_gradient(x, dy, (out, inner)))?;
                Some(tensor(dw, (out, inner))?)
            } else {
                None
            };
            let db = if b.track_op() {
                Some(tensor(with_slices([dy], |[dy]: [&[T]; 1]| bias_gradient(dy, out))?, out)?)
            } else {
                None
            };
            Ok((Some(tensor(dx, x.shape())?), dw, db))
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
        let (x, w, b) = (noise(1, &[2, 300, 6])?, noise(2, &[5, 6])?, noise(3, &[5])?);
        let (xv, wv, bv) = (Var::from_tensor(&x)?, Var::from_tensor(&w)?, Var::from_tensor(&b)?);
        for var in [&xv, &wv, &bv] {
            let f = || Linear::new(wv.as_tensor(), Some(bv.as_tensor()))?.forward(xv.as_tensor());
            let error = gradient_error(var, f)?;
            assert!(error < 1e-7, "relative error {error}");
        }
        Ok(())
    }

    #[test]
    fn a_frozen_weight_gets_no_gradient_and_the_input_gets_the_same_one() -> Result<()> {
        let (x, w) = (Var::from_tensor(&noise(1, &[3, 4])?)?, noise(2, &[5, 4])?);
        let frozen = Linear::new(&w, None)?.forward(&x)?.sqr()?.sum_all()?.backward()?;
        assert!(frozen.get(&w).is_none());
        let free = Var::from_tensor(&w)?;
        let tracked = Linear::new(free.as_tensor(), None)?.forward(&x)?.sqr()?.sum_all()?.backward()?;
        let difference = (frozen.get(&x).expect("image") - tracked.get(&x).expect("image"))?.abs()?.max_all()?;
        assert!(difference.to_scalar::<f64>()? < 1e-12);
        assert!(tracked.get(free.as_tensor()).is_some());
        Ok(())
    }

    #[test]
    fn a_row_does_not_depend_on_its_batch() -> Result<()> {
        let layer = Linear::new(&noise(2, &[33, 20])?.to_dtype(DType::F32)?, None)?;
        let x = noise(1, &[3, 485, 20])?.to_dtype(DType::F32)?;
        let together = layer.forward(&x)?;
        for i in 0..3 {
            let alone = layer.forward(&x.narrow(0, i, 1)?)?.flatten_all()?.to_vec1::<f32>()?;
            assert_eq!(alone, together.narrow(0, i, 1)?.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(())
    }
}
