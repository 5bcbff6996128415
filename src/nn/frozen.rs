//! A linear layer whose weight never changes, ready for products in both directions.

use std::sync::OnceLock;

use candle_core::{Result, Tensor};

use super::gemm::View;
use super::kernel::with_slices;
use super::matmul::half::{Format, HalfPacked};
use super::matmul::{Lane, Packed, Right, Start, multiply};

/// Which way a product goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `x W^T`
    Forward,
    /// `dy W`
    Backward,
}

/// `y = x W^T + b` on rows, for a `weight` `[out, in]`.
#[derive(Debug)]
pub(crate) struct Frozen<T> {
    /// `[in, out]`
    forward: Packed<T>,
    /// `[out, in]`, made when the first gradient is asked for: the text tower never needs it.
    backward: OnceLock<Packed<T>>,
    bias: Vec<T>,
    /// Forward and backward with rounded numbers, made when first asked for.
    rounded: [OnceLock<HalfPacked>; 2],
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
        Ok(Self { forward, backward: OnceLock::new(), bias, rounded: [const { OnceLock::new() }; 2] })
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

    /// The weight as a right operand.
    pub fn right(&self, direction: Direction) -> Right<'_, T> {
        match direction {
            Direction::Forward => self.forward(),
            Direction::Backward => self.backward(),
        }
    }

    /// The weight rounded to a format, if its numbers are f32. A layer keeps the format it was first asked for.
    pub fn rounded(&self, direction: Direction, format: Format) -> Option<&HalfPacked> {
        T::f32s(&self.bias)?;
        let (forward, size) = (direction == Direction::Forward, (self.inner(), self.out()));
        let rounded = self.rounded[usize::from(!forward)].get_or_init(|| {
            let matrix = self.forward.unpacked();
            let matrix = View::rows(T::f32s(&matrix).unwrap_or_default(), size.1);
            if forward {
                HalfPacked::new(matrix, size, format)
            } else {
                HalfPacked::new(matrix.t(), (size.1, size.0), format)
            }
        });
        (rounded.format() == format).then_some(rounded)
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
