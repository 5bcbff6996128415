//! Matrix products on the CPU, single-threaded: callers split their rows.
//!
//! `out = start + a b`, with the right operand in [`Packed`] panels or, where its rows allow it, in
//! place. The inner loop is one tile of up to eight rows by three vectors that stays in registers
//! (`tile.rs`). Every number is summed along `k` in one fixed order, whatever tile it falls into, so
//! a result depends neither on how rows are split nor on what else is in a batch.

pub(crate) mod half;
mod lane;
mod panels;
#[cfg(test)]
mod tests;
mod tile;

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::gemm::View;
pub(crate) use lane::Lane;
pub(crate) use panels::{Packed, lanes, padded};
use panels::{Panel, panels};
use tile::Tile;

/// Rows of the right operand that are multiplied before the next: with the rows of the left operand
/// that a caller works on, they fit into the second-level cache.
const DEPTH: usize = 768;

/// What the product is added to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a, T> {
    /// The same row of numbers everywhere, such as a bias.
    Row(&'a [T]),
    /// Nothing.
    Zero,
    /// What the destination holds.
    Kept,
}

/// A right operand `[k, n]`.
#[derive(Clone, Copy)]
pub(crate) enum Right<'a, T> {
    /// In panels.
    Packed(&'a Packed<T>),
    /// Row-major with `stride`, and as many columns as fill whole vectors.
    Rows { data: &'a [T], stride: usize, k: usize, n: usize },
}

impl<T: Lane> Right<'_, T> {
    fn size(&self) -> (usize, usize) {
        match self {
            Self::Packed(packed) => (packed.k, packed.n),
            Self::Rows { k, n, .. } => (*k, *n),
        }
    }

    /// Rows `depth` of a panel, and the distance from one to the next.
    fn panel(&self, panel: Panel, depth: Range<usize>) -> (&[T], usize) {
        match self {
            Self::Packed(packed) => (packed.panel(panel, depth), panel.vectors * lanes::<T>()),
            Self::Rows { data, stride, .. } => (&data[depth.start * stride + panel.column..], *stride),
        }
    }
}

/// Which part of the right operand is meant.
#[derive(Clone)]
pub(crate) struct Part {
    /// Columns, for fewer than all: from one of [`steps`] to a later one.
    pub columns: Range<usize>,
    /// Rows, for fewer products than all.
    pub depth: Range<usize>,
}

/// `n` columns in steps of about `width`, cut where a right operand of any format may be cut.
pub(crate) fn steps<T: Lane>(n: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    // a panel of a reduced format is two or more of ours; equal panels are cut only where they are whole
    let whole = panels::<T>(n).all(|panel| panel.vectors == panels::WIDEST) && width.is_multiple_of(half::WIDEST);
    let width = if whole { width } else { n.max(1) };
    (0..n).step_by(width).map(move |first| first..(first + width).min(n))
}

/// `out = start + a b` for `m` rows; `out` is row-major with `out_stride`.
pub(crate) fn multiply<T: Lane>(
    m: usize,
    a: View<T>,
    b: Right<T>,
    (out, out_stride): (&mut [T], usize),
    start: Start<T>,
) {
    let (k, n) = b.size();
    multiply_part(m, a, (b, Part { columns: 0..n, depth: 0..k }), (out, out_stride), start);
}

/// As [`multiply`] with a part of `b`; `a` has the part's rows as columns, `out` and `start` its columns.
pub(crate) fn multiply_part<T: Lane>(
    m: usize,
    a: View<T>,
    (b, part): (Right<T>, Part),
    (out, out_stride): (&mut [T], usize),
    start: Start<T>,
) {
    let (k, n) = b.size();
    let columns = part.columns.clone();
    assert!(columns.end <= n && columns.start <= columns.end, "columns {columns:?} of {n}");
    assert!(part.depth.end <= k && part.depth.start <= part.depth.end, "rows {:?} of {k}", part.depth);
    a.check(m, part.depth.len());
    View::rows(&*out, out_stride).check(m, columns.len());
    if let Start::Row(row) = start {
        assert!(row.len() >= columns.len(), "a start of {} numbers for {} columns", row.len(), columns.len());
    }
    if let Right::Rows { data, stride, .. } = b {
        assert!(n.is_multiple_of(lanes::<T>()), "{n} columns in place do not fill whole vectors");
        View::rows(data, stride).check(k, n);
    }
    if m > 0 && !columns.is_empty() {
        Arch::new().dispatch(Product { m, a, b, part, out, out_stride, start });
    }
}

struct Product<'a, T> {
    m: usize,
    a: View<'a, T>,
    b: Right<'a, T>,
    part: Part,
    out: &'a mut [T],
    out_stride: usize,
    start: Start<'a, T>,
}

impl<T: Lane> WithSimd for Product<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { m, a, b, part: Part { columns, depth: all }, out, out_stride, start } = self;
        let (_, n) = b.size();
        let blocks = all.len().div_ceil(DEPTH).max(1);
        // Tiles of nearly equal height: a last one of a single row would cost as much as one of four.
        let tiles = m.div_ceil(tile::rows::<S>());
        for block in 0..blocks {
            let within = all.len() * block / blocks..all.len() * (block + 1) / blocks;
            let depth = all.start + within.start..all.start + within.end;
            let start = if block == 0 { start } else { Start::Kept };
            let mut panels = panels::<T>(n).filter(|panel| columns.contains(&panel.column)).peekable();
            while let Some(panel) = panels.next() {
                let (right, right_stride) = b.panel(panel, depth.clone());
                let next = panels.peek().map_or(right, |next| b.panel(*next, depth.clone()).0);
                let column = panel.column - columns.start;
                for tile in 0..tiles {
                    let rows = m * tile / tiles..m * (tile + 1) / tiles;
                    Tile {
                        depth: depth.len(),
                        left: &a.data[rows.start * a.row_stride + within.start * a.column_stride..],
                        left_strides: (a.row_stride, a.column_stride),
                        right,
                        right_stride,
                        out: &mut out[rows.start * out_stride + column..],
                        out_stride,
                        columns: (panel.vectors * T::lanes::<S>()).min(columns.len() - column),
                        start: match start {
                            Start::Row(row) => Start::Row(&row[column..]),
                            other => other,
                        },
                        next,
                        share: (tile, tiles),
                    }
                    .run(simd, rows.len(), panel.vectors);
                }
            }
        }
    }
}
