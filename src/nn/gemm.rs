//! Matrix products on strided views.
//!
//! The one place that calls the `gemm` crate, whose function takes pointers: for operands that are
//! used once, such as weights in training. Weights that stay are packed (`matmul`). Every view is
//! checked against its slice first, so the rest of the crate stays safe. Products are
//! single-threaded: callers split their work, so that the split never depends on the number of threads.

use super::kernel::Float;

/// A matrix inside a slice: element (row, column) is at `row * row_stride + column * column_stride`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    pub data: &'a [T],
    pub row_stride: usize,
    pub column_stride: usize,
}

impl<'a, T> View<'a, T> {
    /// Row-major, `row_stride` numbers from one row to the next.
    pub fn rows(data: &'a [T], row_stride: usize) -> Self {
        Self { data, row_stride, column_stride: 1 }
    }

    /// The transposed matrix.
    pub fn t(self) -> Self {
        Self { data: self.data, row_stride: self.column_stride, column_stride: self.row_stride }
    }

    pub(super) fn check(&self, rows: usize, columns: usize) {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row_stride + (columns - 1) * self.column_stride;
            assert!(last < self.data.len(), "a {rows}x{columns} view does not fit its {} numbers", self.data.len());
        }
    }
}

/// What becomes of the numbers that were in the destination.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Overwrite,
    Add,
}

/// `out (+)= scale * a b` with `a` `[m, k]`, `b` `[k, n]` and `out` row-major with `out_stride`.
pub(crate) fn gemm<T: Float>(
    (m, n, k): (usize, usize, usize),
    a: View<T>,
    b: View<T>,
    (out, out_stride): (&mut [T], usize),
    scale: T,
    mode: Mode,
) {
    a.check(m, k);
    b.check(k, n);
    View::rows(&*out, out_stride).check(m, n);
    // SAFETY: the three views were just checked to lie inside their slices, `out` is borrowed
    // mutably so nothing aliases it, and T is f32 or f64, which the crate accepts.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_stride as isize,
            mode == Mode::Add,
            a.data.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.data.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            T::ONE,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_definition_for_every_orientation() {
        let (m, n, k) = (7, 5, 9);
        let a: Vec<f64> = (0..m * k).map(|i| (i as f64 * 0.37).sin()).collect();
        let b: Vec<f64> = (0..k * n).map(|i| (i as f64 * 0.73).cos()).collect();
        let at: Vec<f64> = (0..k * m).map(|i| a[(i % m) * k + i / m]).collect();
        let bt: Vec<f64> = (0..n * k).map(|i| b[(i % k) * n + i / k]).collect();
        for left in [View::rows(&a, k), View::rows(&at, m).t()] {
            for right in [View::rows(&b, n), View::rows(&bt, k).t()] {
                let mut out = vec![1f64; m * n];
                gemm((m, n, k), left, right, (&mut out, n), 2., Mode::Add);
                for i in 0..m {
                    for j in 0..n {
                        let wanted = 1. + 2. * (0..k).map(|l| a[i * k + l] * b[l * n + j]).sum::<f64>();
                        assert!((out[i * n + j] - wanted).abs() < 1e-12);
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_view_outside_its_slice_is_refused() {
        let mut out = [0f32; 4];
        gemm((2, 2, 3), View::rows(&[0.; 5], 3), View::rows(&[0.; 6], 2), (&mut out, 2), 1., Mode::Overwrite);
    }
}
