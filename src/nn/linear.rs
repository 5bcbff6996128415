//! `y = x W^T + b` without a gradient for frozen weights.

use std::sync::Arc;

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::frozen::Frozen;
use super::gemm::{Mode, View, gemm};
use super::kernel::{Float, by_dtype, slice, tensor, with_slices};
use super::matmul::{Lane, Start};

/// Rows of one piece of work. Fixed, so that results do not depend on the number of threads.
const PIECE_ROWS: usize = 256;

/// A linear layer; its weight gets a gradient only if it is a variable.
#[derive(Debug, Clone)]
pub struct Linear(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// On the CPU, with weights that stay as they are.
    Frozen(FrozenWeights),
    /// Anything else: `weight` `[out, in]`, `bias` `[out]`.
    Tensors { weight: Tensor, bias: Tensor },
}

/// Packed weights of either type.
#[derive(Debug, Clone)]
pub(super) enum FrozenWeights {
    F32(Arc<Frozen<f32>>),
    F64(Arc<Frozen<f64>>),
}

impl Linear {
    /// A layer with `weight` `[out, in]` and `bias` `[out]` (zero if absent).
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn new(weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        Self::side_by_side(&[weight], &[bias])
    }

    /// Several layers on the same input as one, whose outputs stand side by side. Variables cannot be joined: they
    /// would be copied.
    ///
    /// # Errors
    /// Shapes that do not fit, several layers of which one is a variable.
    pub fn side_by_side(weights: &[&Tensor], biases: &[Option<&Tensor>]) -> Result<Self> {
        let zeros = |weight: &Tensor| Tensor::zeros(weight.dim(0)?, weight.dtype(), weight.device());
        let biases = weights.iter().zip(biases).map(|(weight, bias)| match bias {
            Some(bias) if [bias.elem_count()] == weight.dims()[..1] => Ok((*bias).clone()),
            Some(bias) => bail!("a bias of shape {:?} for {:?} outputs", bias.shape(), weight.dims().first()),
            None => zeros(weight),
        });
        let biases = biases.collect::<Result<Vec<_>>>()?;
        let biases: Vec<&Tensor> = biases.iter().collect();
        let variable = weights.iter().chain(&biases).any(|t| t.track_op());
        let Some(first) = weights.first() else { bail!("a linear layer needs a weight") };
        Ok(Self(match (variable, first.device().is_cpu(), first.dtype()) {
            (false, true, DType::F32) => Kind::Frozen(FrozenWeights::F32(Arc::new(Frozen::new(weights, &biases)?))),
            (false, true, DType::F64) => Kind::Frozen(FrozenWeights::F64(Arc::new(Frozen::new(weights, &biases)?))),
            (true, ..) if weights.len() > 1 => bail!("variables cannot be joined into one layer"),
            (true, ..) => Kind::Tensors { weight: (*first).clone(), bias: biases[0].clone() },
            (false, ..) => Kind::Tensors { weight: Tensor::cat(weights, 0)?, bias: Tensor::cat(&biases, 0)? },
        }))
    }

    /// The weights, if they are packed.
    pub(super) fn frozen(&self) -> Option<FrozenWeights> {
        match &self.0 {
            Kind::Frozen(weights) => Some(weights.clone()),
            Kind::Tensors { .. } => None,
        }
    }

    /// `[..., rows, in]` to `[..., rows, out]`.
    ///
    /// # Errors
    /// A last dimension other than `in`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match &self.0 {
            Kind::Frozen(FrozenWeights::F32(weights)) => x.contiguous()?.apply_op1(FrozenAffine(weights.clone())),
            Kind::Frozen(FrozenWeights::F64(weights)) => x.contiguous()?.apply_op1(FrozenAffine(weights.clone())),
            Kind::Tensors { weight, bias } if weight.device().is_cpu() => {
                x.contiguous()?.apply_op3(&weight.contiguous()?, bias, Affine)
            }
            Kind::Tensors { weight, bias } => {
                #[cfg(feature = "cuda")]
                if let Some(y) = super::cuda::linear(x, weight, bias)? {
                    return Ok(y);
                }
                x.broadcast_matmul(&weight.t()?)?.broadcast_add(bias)
            }
        }
    }
}

/// Rows of one piece of work with packed weights, where enough rows can be had.
const FEW_ROWS: usize = 32;

struct FrozenAffine<T>(Arc<Frozen<T>>);

impl<T: Lane> FrozenAffine<T> {
    /// Calls `f` with pieces of `to` and the rows of `from` that belong to them.
    fn by_rows(&self, from: &[T], (to, width): (&mut [T], usize), f: impl Fn(View<T>, &mut [T]) + Sync) {
        let rows = to.len() / width.max(1);
        let from_width = from.len() / rows.max(1);
        let task = rows.div_ceil(rayon::current_num_threads()).max(FEW_ROWS);
        if task >= rows {
            return f(View::rows(from, from_width), to);
        }
        let parts = to.par_chunks_mut(task * width).zip(from.par_chunks(task * from_width));
        parts.for_each(|(to, from)| f(View::rows(from, from_width), to));
    }
}

impl<T: Lane> CustomOp1 for FrozenAffine<T>
where
    Frozen<T>: Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        "frozen-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (inner, out) = (self.0.inner(), self.0.out());
        let mut shape = layout.dims().to_vec();
        match shape.last_mut() {
            Some(last) if *last == inner => *last = out,
            _ => bail!("a linear layer of {inner} inputs was given {:?}", layout.dims()),
        }
        let x = slice::<T>(x, layout)?;
        let mut y = vec![T::ZERO; x.len() / inner * out];
        self.by_rows(x, (&mut y, out), |x, y| self.0.apply(x, y));
        Ok((T::to_cpu_storage_owned(y), shape.into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_slices([dy], |[dy]: [&[T]; 1]| {
            let mut dx = vec![T::ZERO; x.elem_count()];
            self.by_rows(dy, (&mut dx, self.0.inner()), |dy, dx| self.0.pull_back(dy, dx, Start::Zero));
            dx
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}

/// A layer whose weights may change.
struct Affine;

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
            let weight = View::rows(slice::<T>(w, wl)?, inner);
            Ok(T::to_cpu_storage_owned(product(slice(x, xl)?, weight.t(), slice(b, bl)?, rows)))
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
