//! The right operand of a product, in the order in which the tile kernel reads it.
//!
//! Columns are split into panels of up to three vectors; a panel holds, row after row, the numbers of
//! its columns, so the kernel reads it from beginning to end. Columns after the last are zero.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::lane::Lane;
use crate::nn::gemm::View;

/// Vectors of the widest panel: with eight rows they fill the 32 registers of AVX-512 and NEON.
pub(super) const WIDEST: usize = 3;

/// Bytes of a cache line, to which panels are aligned.
const LINE: usize = 64;

/// Some columns of a right operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Panel {
    /// Its first column.
    pub column: usize,
    /// Its width in vectors.
    pub vectors: usize,
}

/// A right operand `[k, n]`, copied into panels.
#[derive(Debug)]
pub(crate) struct Packed<T> {
    data: Vec<T>,
    /// Numbers before the first that is at the border of a cache line.
    skipped: usize,
    pub k: usize,
    pub n: usize,
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self::in_memory_of(Vec::new())
    }
}

impl<T> Packed<T> {
    /// Nothing yet, with room in `memory`.
    pub fn in_memory_of(memory: Vec<T>) -> Self {
        Self { data: memory, skipped: 0, k: 0, n: 0 }
    }

    /// The memory, for other use.
    pub fn into_memory(self) -> Vec<T> {
        self.data
    }
}

impl<T: Lane> Packed<T> {
    pub fn new(matrix: View<T>, k: usize, n: usize) -> Self {
        let mut packed = Self::in_memory_of(Vec::new());
        packed.fill(matrix, k, n);
        packed
    }

    /// Takes another matrix, into the same memory if it fits.
    pub fn fill(&mut self, matrix: View<T>, k: usize, n: usize) {
        matrix.check(k, n);
        (self.k, self.n) = (k, n);
        let size = k * padded::<T>(n) + LINE / size_of::<T>();
        if self.data.len() < size {
            self.data.resize(size, T::ZERO);
        }
        // an address that cannot be aligned is only slower
        self.skipped = self.data.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
        let lanes = lanes::<T>();
        for panel in panels::<T>(n) {
            let width = panel.vectors * lanes;
            let columns = panel.column..(panel.column + width).min(n);
            let start = self.skipped + panel.column * k;
            let to = &mut self.data[start..start + k * width];
            to.chunks_exact_mut(width).for_each(|row| row[columns.len()..].fill(T::ZERO));
            if matrix.column_stride == 1 {
                for (row, to) in to.chunks_exact_mut(width).enumerate() {
                    to[..columns.len()].copy_from_slice(&matrix.data[row * matrix.row_stride..][columns.clone()]);
                }
            } else {
                copy_by_columns(matrix, columns, to, width);
            }
        }
    }

    /// Rows `depth` of a panel.
    pub(super) fn panel(&self, panel: Panel, depth: Range<usize>) -> &[T] {
        let (start, width) = (self.skipped + panel.column * self.k, panel.vectors * lanes::<T>());
        &self.data[start + depth.start * width..start + depth.end * width]
    }

    /// The matrix again, row-major.
    pub fn unpacked(&self) -> Vec<T> {
        let mut out = vec![T::ZERO; self.k * self.n];
        for panel in panels::<T>(self.n) {
            let width = panel.vectors * lanes::<T>();
            let used = width.min(self.n - panel.column);
            for (to, from) in out.chunks_exact_mut(self.n).zip(self.panel(panel, 0..self.k).chunks_exact(width)) {
                to[panel.column..panel.column + used].copy_from_slice(&from[..used]);
            }
        }
        out
    }
}

/// A few columns at a time, so that the lines they are read from stay in the first-level cache.
fn copy_by_columns<T: Lane>(matrix: View<T>, columns: Range<usize>, to: &mut [T], width: usize) {
    const AT_A_TIME: usize = 16;
    for first in columns.clone().step_by(AT_A_TIME) {
        let some = first..(first + AT_A_TIME).min(columns.end);
        for (row, to) in to.chunks_exact_mut(width).enumerate() {
            let from = &matrix.data[row * matrix.row_stride..];
            for (to, column) in to[first - columns.start..].iter_mut().zip(some.clone()) {
                *to = from[column * matrix.column_stride];
            }
        }
    }
}

/// The panels of `n` columns: as few as possible, and of widths as equal as possible.
pub(super) fn panels<T: Lane>(n: usize) -> impl ExactSizeIterator<Item = Panel> + Clone {
    let lanes = lanes::<T>();
    let vectors = n.div_ceil(lanes);
    let count = vectors.div_ceil(WIDEST);
    let (narrow, wider) = (vectors / count.max(1), vectors % count.max(1));
    (0..count)
        .map(move |i| Panel { column: (i * narrow + i.min(wider)) * lanes, vectors: narrow + usize::from(i < wider) })
}

/// `n` rounded up to whole vectors: the room that rows of results take where they are read again as vectors.
pub(crate) fn padded<T: Lane>(n: usize) -> usize {
    n.next_multiple_of(lanes::<T>())
}

/// Numbers in a vector of this processor.
pub(crate) fn lanes<T: Lane>() -> usize {
    struct Lanes<T>(std::marker::PhantomData<T>);
    impl<T: Lane> WithSimd for Lanes<T> {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            T::lanes::<S>()
        }
    }
    Arch::new().dispatch(Lanes::<T>(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panels_cover_all_columns_once() {
        for n in [1, 15, 16, 17, 48, 49, 64, 485, 768, 2304] {
            let mut next = 0;
            for panel in panels::<f32>(n) {
                assert_eq!(panel.column, next, "{n} columns");
                assert!((1..=WIDEST).contains(&panel.vectors));
                next += panel.vectors * lanes::<f32>();
            }
            assert_eq!(next, padded::<f32>(n));
        }
        assert_eq!(panels::<f32>(0).len(), 0);
    }

    #[test]
    fn a_packed_matrix_can_be_unpacked_and_its_memory_used_again() {
        let matrix: Vec<f32> = (0..7 * 53).map(|i| i as f32).collect();
        let mut packed = Packed::new(View::rows(&matrix, 53), 7, 53);
        assert_eq!(packed.unpacked(), matrix);
        packed.fill(View::rows(&matrix, 53).t(), 53, 7);
        let transposed: Vec<f32> = (0..53 * 7).map(|i| matrix[(i % 7) * 53 + i / 7]).collect();
        assert_eq!(packed.unpacked(), transposed);
    }
}
