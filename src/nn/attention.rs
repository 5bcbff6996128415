//! Multi-head softmax attention, `softmax(Q K^T / sqrt(d)) V` (Vaswani et al. 2017).
//!
//! One task per (item, head) on the CPU. The probabilities are not kept: the backward pass makes
//! them again, which costs one product and saves `heads * n * n` numbers per layer and item.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, D, DType, Device, Layout, Result, Shape, Tensor, WithDType, bail};
use rayon::prelude::*;

use super::gemm::{Mode, View, gemm};
use super::kernel::{Float, Kernel, by_dtype, dot, largest, slice, softmax_term, sum, tensor, vectorised, with_slices};

/// Attention of `heads` heads over `[batch, tokens, features]`; the heads are consecutive slices
/// of the features. `causal` hides later tokens.
///
/// # Errors
/// Operands of different shapes, or features that `heads` does not divide.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, causal: bool) -> Result<Tensor> {
    let (_, n, features) = q.dims3()?;
    if k.dims() != q.dims() || v.dims() != q.dims() || heads == 0 || !features.is_multiple_of(heads) {
        bail!("attention of {heads} heads over {:?}, {:?} and {:?}", q.shape(), k.shape(), v.shape());
    }
    if q.device().is_cpu() && matches!(q.dtype(), DType::F32 | DType::F64) {
        let op = Attention { heads, causal, tokens: n, features };
        return q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, op);
    }
    #[cfg(feature = "cuda")]
    if let Some(y) = super::cuda::attention(q, k, v, heads, causal)? {
        return Ok(y);
    }
    composed(q, k, v, heads, causal)
}

/// The same from tensor operations, for devices without a kernel of ours.
fn composed(q: &Tensor, k: &Tensor, v: &Tensor, heads: usize, causal: bool) -> Result<Tensor> {
    let (b, n, features) = q.dims3()?;
    let width = features / heads;
    let split = |x: &Tensor| x.reshape((b, n, heads, width))?.transpose(1, 2)?.contiguous();
    let scores = (split(q)?.matmul(&split(k)?.t()?.contiguous()?)? * (width as f64).powf(-0.5))?;
    let scores = if causal { scores.broadcast_add(&causal_mask(n, q.dtype(), q.device())?)? } else { scores };
    let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
    weights.matmul(&split(v)?)?.transpose(1, 2)?.reshape((b, n, features))
}

fn causal_mask(n: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    let values: Vec<f32> = (0..n * n).map(|i| if i % n > i / n { -1e9 } else { 0. }).collect();
    Tensor::from_vec(values, (n, n), device)?.to_dtype(dtype)
}

struct Attention {
    heads: usize,
    causal: bool,
    tokens: usize,
    features: usize,
}

impl Attention {
    fn width(&self) -> usize {
        self.features / self.heads
    }

    fn scale<T: Float>(&self) -> T {
        T::of((self.width() as f64).powf(-0.5))
    }

    /// The view of one head of one item, starting inside the item's slice.
    fn head<'a, T>(&self, item: &'a [T], head: usize) -> View<'a, T> {
        View::rows(&item[head * self.width()..], self.features)
    }

    /// `softmax(Q K^T / sqrt(d))` of one head, `[tokens, tokens]`.
    fn probabilities<T: Float>(&self, q: View<T>, k: View<T>, p: &mut [T]) {
        let n = self.tokens;
        gemm((n, n, self.width()), q, k.t(), (p, n), self.scale(), Mode::Overwrite);
        vectorised(SoftmaxRows { p, n, causal: self.causal });
    }

    fn forward<T: Float>(&self, q: &[T], k: &[T], v: &[T]) -> Vec<T> {
        let (n, d, item) = (self.tokens, self.width(), self.tokens * self.features);
        let heads: Vec<Vec<T>> = self.tasks(q.len() / item, |b, head| {
            let of = |x| self.head(part(x, b, item), head);
            let mut p = vec![T::ZERO; n * n];
            self.probabilities(of(q), of(k), &mut p);
            let mut y = vec![T::ZERO; n * d];
            gemm((n, d, n), View::rows(&p, n), of(v), (&mut y, d), T::ONE, Mode::Overwrite);
            y
        });
        self.join(&heads, |y| y)
    }

    /// Gradients of q, k and v.
    fn backward<T: Float>(&self, q: &[T], k: &[T], v: &[T], dy: &[T]) -> [Vec<T>; 3] {
        let (n, d, item) = (self.tokens, self.width(), self.tokens * self.features);
        let heads: Vec<[Vec<T>; 3]> = self.tasks(q.len() / item, |b, head| {
            let of = |x| self.head(part(x, b, item), head);
            let zeros = || vec![T::ZERO; n * d];
            let (mut dq, mut dk, mut dv) = (zeros(), zeros(), zeros());
            let (mut p, mut ds) = (vec![T::ZERO; n * n], vec![T::ZERO; n * n]);
            self.probabilities(of(q), of(k), &mut p);
            gemm((n, d, n), View::rows(&p, n).t(), of(dy), (&mut dv, d), T::ONE, Mode::Overwrite);
            gemm((n, n, d), of(dy), of(v).t(), (&mut ds, n), T::ONE, Mode::Overwrite);
            vectorised(ScoreGradients { p: &p, ds: &mut ds, n });
            gemm((n, d, n), View::rows(&ds, n), of(k), (&mut dq, d), self.scale(), Mode::Overwrite);
            gemm((n, d, n), View::rows(&ds, n).t(), of(q), (&mut dk, d), self.scale(), Mode::Overwrite);
            [dq, dk, dv]
        });
        [0, 1, 2].map(|i| self.join(&heads, |gradients| &gradients[i]))
    }

    /// Runs one task per (item, head).
    fn tasks<R: Send>(&self, items: usize, f: impl Fn(usize, usize) -> R + Sync) -> Vec<R> {
        (0..items * self.heads).into_par_iter().map(|i| f(i / self.heads, i % self.heads)).collect()
    }

    /// Puts `[tokens, width]` results of all heads side by side: `[items, tokens, features]`.
    fn join<T: Float, R: Sync>(&self, heads: &[R], get: impl Fn(&R) -> &Vec<T> + Sync) -> Vec<T> {
        let (d, item) = (self.width(), self.tokens * self.features);
        let mut out = vec![T::ZERO; heads.len() / self.heads * item];
        out.par_chunks_mut(item).zip(heads.par_chunks(self.heads)).for_each(|(out, heads)| {
            for (i, head) in heads.iter().enumerate() {
                let rows = out.chunks_exact_mut(self.features).zip(get(head).chunks_exact(d));
                rows.for_each(|(to, from)| to[i * d..(i + 1) * d].copy_from_slice(from));
            }
        });
        out
    }
}

struct SoftmaxRows<'a, T> {
    p: &'a mut [T],
    n: usize,
    causal: bool,
}

impl<T: Float> Kernel for SoftmaxRows<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (i, row) in self.p.chunks_exact_mut(self.n).enumerate() {
            let seen = if self.causal { i + 1 } else { self.n };
            let (row, hidden) = row.split_at_mut(seen);
            let largest = largest(row);
            row.iter_mut().for_each(|s| *s = softmax_term(*s - largest));
            let inverse = T::ONE / sum(row);
            row.iter_mut().for_each(|s| *s *= inverse);
            hidden.fill(T::ZERO);
        }
    }
}

/// From the gradients of the probabilities to those of the scores.
struct ScoreGradients<'a, T> {
    p: &'a [T],
    ds: &'a mut [T],
    n: usize,
}

impl<T: Float> Kernel for ScoreGradients<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (ds, p) in self.ds.chunks_exact_mut(self.n).zip(self.p.chunks_exact(self.n)) {
            let mean = dot(ds, p);
            ds.iter_mut().zip(p).for_each(|(s, p)| *s = *p * (*s - mean));
        }
    }
}

fn part<T>(x: &[T], i: usize, size: usize) -> &[T] {
    &x[i * size..(i + 1) * size]
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        k: &CpuStorage,
        kl: &Layout,
        v: &CpuStorage,
        vl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let storage = by_dtype!("attention", q.dtype(), T => {
            let y = self.forward::<T>(slice(q, ql)?, slice(k, kl)?, slice(v, vl)?);
            Ok(T::to_cpu_storage_owned(y))
        })?;
        Ok((storage, ql.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        by_dtype!("attention", q.dtype(), T => {
            let [dq, dk, dv] =
                with_slices([q, k, v, dy], |[q, k, v, dy]: [&[T]; 4]| self.backward(q, k, v, dy))?;
            let wrap = |g| tensor(g, q.shape()).map(Some);
            Ok((wrap(dq)?, wrap(dk)?, wrap(dv)?))
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
        for causal in [false, true] {
            let vars: Vec<Var> =
                (0..3).map(|i| Var::from_tensor(&(noise(i, &[2, 7, 12])? * 2.)?)).collect::<Result<_>>()?;
            for var in &vars {
                let error = gradient_error(var, || attention(&vars[0], &vars[1], &vars[2], 3, causal))?;
                assert!(error < 1e-6, "causal {causal}: relative error {error}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_kernel_agrees_with_tensor_operations() -> Result<()> {
        let x: Vec<Tensor> = (0..3).map(|i| noise(i, &[2, 19, 8])).collect::<Result<_>>()?;
        for causal in [false, true] {
            let difference = (attention(&x[0], &x[1], &x[2], 2, causal)? - composed(&x[0], &x[1], &x[2], 2, causal)?)?;
            assert!(difference.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12);
        }
        Ok(())
    }

    #[test]
    fn an_item_does_not_depend_on_its_batch() -> Result<()> {
        let x: Vec<Tensor> = (0..3).map(|i| noise(i, &[3, 40, 8])?.to_dtype(DType::F32)).collect::<Result<_>>()?;
        let together = attention(&x[0], &x[1], &x[2], 2, false)?.narrow(0, 1, 1)?;
        let one = |t: &Tensor| t.narrow(0, 1, 1)?.contiguous();
        let alone = attention(&one(&x[0])?, &one(&x[1])?, &one(&x[2])?, 2, false)?;
        assert_eq!(alone.flatten_all()?.to_vec1::<f32>()?, together.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }

    #[test]
    fn large_scores_stay_finite() -> Result<()> {
        let x = (noise(1, &[1, 9, 4])?.to_dtype(DType::F32)? * 1e4)?;
        let y = attention(&x, &x, &x, 1, false)?.flatten_all()?.to_vec1::<f32>()?;
        assert!(y.iter().all(|v| v.is_finite()));
        Ok(())
    }
}
