//! Each pixel's 3x3 neighbourhood as one row.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, WithDType};
use rayon::prelude::*;

use crate::nn::kernel::{Float, by_dtype, slice, tensor, with_slices};

/// `[batch, height, width, channels]` to `[batch, height * width, 9 * channels]` (row, column, channel), zero outside.
///
/// # Errors
/// A tensor of another rank.
pub(super) fn neighbours(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    if x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) {
        return x.contiguous()?.apply_op1(Neighbours { height: h, width: w, channels: c });
    }
    let padded = x.pad_with_zeros(1, 1, 1)?.pad_with_zeros(2, 1, 1)?;
    let shifted =
        (0..9).map(|i| padded.narrow(1, i / 3, h)?.narrow(2, i % 3, w)?.contiguous()).collect::<Result<Vec<_>>>()?;
    Tensor::cat(&shifted, 3)?.reshape((b, h * w, 9 * c))
}

struct Neighbours {
    height: usize,
    width: usize,
    channels: usize,
}

impl Neighbours {
    /// The pixel `tap` (0 to 8) away from (row, column), as an index into the map, if it is inside.
    fn at(&self, row: usize, column: usize, tap: usize) -> Option<usize> {
        let row = (row + tap / 3).checked_sub(1).filter(|row| *row < self.height)?;
        let column = (column + tap % 3).checked_sub(1).filter(|column| *column < self.width)?;
        Some(row * self.width + column)
    }

    fn gather<T: Float>(&self, x: &[T]) -> Vec<T> {
        let (c, line) = (self.channels, self.width * self.channels);
        let mut out = vec![T::ZERO; 9 * x.len()];
        out.par_chunks_mut((9 * line).max(1)).enumerate().for_each(|(i, out)| {
            let map = &x[i / self.height * self.height * line..];
            for (at, to) in out.chunks_exact_mut(c).enumerate() {
                if let Some(from) = self.at(i % self.height, at / 9, at % 9) {
                    to.copy_from_slice(&map[from * c..(from + 1) * c]);
                }
            }
        });
        out
    }

    /// The transpose of [`Self::gather`]: each pixel collects from the neighbourhoods it is in.
    fn collect<T: Float>(&self, dy: &[T]) -> Vec<T> {
        let (c, line) = (self.channels, self.width * self.channels);
        let mut dx = vec![T::ZERO; dy.len() / 9];
        dx.par_chunks_mut(line.max(1)).enumerate().for_each(|(i, dx)| {
            let map = &dy[i / self.height * self.height * 9 * line..];
            for (column, to) in dx.chunks_exact_mut(c).enumerate() {
                for tap in 0..9 {
                    if let Some(centre) = self.at(i % self.height, column, 8 - tap) {
                        let from = &map[(centre * 9 + tap) * c..][..c];
                        to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
                    }
                }
            }
        });
        dx
    }
}

impl CustomOp1 for Neighbours {
    fn name(&self) -> &'static str {
        "neighbours"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let storage = by_dtype!("a neighbourhood", x.dtype(), T => {
            Ok(T::to_cpu_storage_owned(self.gather(slice::<T>(x, layout)?)))
        })?;
        let batch = layout.dims().first().copied().unwrap_or_default();
        Ok((storage, (batch, self.height * self.width, 9 * self.channels).into()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        by_dtype!("a neighbourhood", x.dtype(), T => {
            let dx = with_slices([dy], |[dy]: [&[T]; 1]| self.collect(dy))?;
            Ok(Some(tensor(dx, x.shape())?))
        })
    }
}
