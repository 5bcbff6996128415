//! A linear layer whose weight never changes, ready for products in both directions.

use std::sync::OnceLock;

use candle_core::{Result, Tensor};

use super::gemm::View;
use super::kernel::with_slices;
use super::matmul::{Lane, Packed, Right, Start, multiply};

/// `y = x W^T + b` on rows, for a `weight` `[out, in]`.
#[derive(Debug)]
pub(crate) struct Frozen<T> {
    /// `[in, out]`
    forward: Packed<T>,
    /// `[out, in]`, made when the first gradient is asked for: the text tower never needs it.
    backward: OnceLock<Packed<T>>,
    bias: Vec<T>,
}

impl<T: Lane> Frozen<T> {
    /// Several layers on the same input, side by side: weights `[out, in]` and biases `[out]`.
    ///
    /// # Errors
    /// Tensors that are not on the CPU or of another type than `T`.
    pub fn new(weights: &[&Tensor], biases: &[&Tensor]) -> Result<Self> {
        let (weight, bias) = (Tensor::cat(weights, 0)?, Tensor::cat(biases, 0)?);
        let (out, inner) = weight.dims2()?;
        let bias = with_slices([&bias], |[bias]: [&[T]; 1]| bias.to_vec())?;
        let forward = with_slices([&weight], |[w]: [&[T]; 1]| Packed::new(View::rows(w, inner).t(), inner, out))?;
        Ok(Self { forward, backward: OnceLock::new(), bias })
    }

    /// Features of the input.
    pub fn inner(&self) -> usize {
        self.forward.k
    }

    /// Features of the output.
    pub fn out(&self) -> usize {
        self.forward.n
    }

    /// The weight as the right operand of `x W^T`.
    pub fn forward(&self) -> Right<'_, T> {
        Right::Packed(&self.forward)
    }

    pub fn bias(&self) -> &[T] {
        &self.bias
    }

    /// The weight as the right operand of `dy W`.
    pub fn backward(&self) -> Right<'_, T> {
        Right::Packed(self.backward.get_or_init(|| {
            let transposed = self.forward.unpacked();
            Packed::new(View::rows(&transposed, self.out()).t(), self.out(), self.inner())
        }))
    }

    /// `out = x W^T + b` for the rows of `x`.
    pub fn apply(&self, x: View<T>, out: &mut [T]) {
        let rows = out.len() / self.out();
        multiply(rows, x, self.forward(), (out, self.out()), Start::Row(&self.bias));
    }

    /// `out = dy W`, or `out += dy W`, for the rows of `dy`.
    pub fn pull_back(&self, dy: View<T>, out: &mut [T], start: Start<T>) {
        let rows = out.len() / self.inner();
        multiply(rows, dy, self.backward(), (out, self.inner()), start);
    }
}
