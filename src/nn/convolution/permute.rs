//! Another order of six dimensions.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use crate::nn::kernel::{Float, by_dtype, slice, tensor, with_slices};

/// `x`, read as a tensor of `dims`, with dimension `order[i]` as the i-th.
///
/// # Errors
/// Dimensions that do not hold `x`.
pub(super) fn permute(x: &Tensor, dims: [usize; 6], order: [usize; 6]) -> Result<Tensor> {
    if x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) {
        return x.reshape(&dims[..])?.contiguous()?.apply_op1(Permute { dims, order });
    }
    x.reshape(&dims[..])?.permute(&order[..])?.contiguous()
}

#[derive(Clone, Copy)]
struct Permute {
    dims: [usize; 6],
    order: [usize; 6],
}

impl Permute {
    fn result(&self) -> [usize; 6] {
        self.order.map(|i| self.dims[i])
    }

    fn inverse(&self) -> Self {
        let mut order = [0; 6];
        for (at, i) in self.order.into_iter().enumerate() {
            order[i] = at;
        }
        Self { dims: self.result(), order }
    }

    fn run<T: Float>(&self, x: &[T]) -> Vec<T> {
        let mut strides = [1; 6];
        for i in (0..5).rev() {
            strides[i] = strides[i + 1] * self.dims[i + 1];
        }
        let [_, n1, n2, n3, n4, n5] = self.result();
        let [s0, s1, s2, s3, s4, s5] = self.order.map(|i| strides[i]);
        let mut y = vec![T::ZERO; x.len()];
        let slab = n2 * n3 * n4 * n5;
        y.par_chunks_mut(slab.max(1)).enumerate().for_each(|(i, y)| {
            let x = &x[i / n1 * s0 + i % n1 * s1..];
            for (j, row) in y.chunks_exact_mut(n5).enumerate() {
                let from = j / (n3 * n4) * s2 + j / n4 % n3 * s3 + j % n4 * s4;
                row.iter_mut().enumerate().for_each(|(l, y)| *y = x[from + l * s5]);
            }
        });
        y
    }
}

impl CustomOp1 for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = by_dtype!("a permutation", x.dtype(), T => {
            Ok(T::to_cpu_storage_owned(self.run(slice::<T>(x, layout)?)))
        })?;
        Ok((storage, Shape::from(&self.result()[..])))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!("a permutation", x.dtype(), T => {
            let dx = with_slices([dy], |[dy]: [&[T]; 1]| self.inverse().run(dy))?;
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
    fn agrees_with_the_library_and_with_finite_differences() -> Result<()> {
        let (dims, order) = ([2, 3, 4, 2, 5, 3], [0, 2, 4, 1, 3, 5]);
        let x = Var::from_tensor(&noise(1, &dims)?)?;
        let wanted = x.permute(&order[..])?.contiguous()?.flatten_all()?.to_vec1::<f64>()?;
        let found = permute(&x, dims, order)?;
        assert_eq!(found.dims(), order.map(|i| dims[i]));
        assert_eq!(found.flatten_all()?.to_vec1::<f64>()?, wanted);
        assert!(gradient_error(&x, || permute(&x, dims, order))? < 1e-7);
        Ok(())
    }
}
