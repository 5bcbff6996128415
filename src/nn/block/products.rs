//! Products of rows with weights and with other rows, in full or with factors rounded to sixteen bits.

use crate::nn::buffers::{Buffered, Reused};
use crate::nn::frozen::{Direction, Frozen};
use crate::nn::gemm::View;
use crate::nn::matmul::half::{Format, HalfPacked, HalfRows, Lent, multiply_half};
use crate::nn::matmul::{Lane, Part, Right, Start, lanes, multiply, multiply_part};

/// Rows as the left operand of products.
pub(super) enum Left<'a, T> {
    Full(View<'a, T>),
    Rounded(Lent<HalfRows>),
}

impl<'a, T: Lane> Left<'a, T> {
    /// `[m, k]`, rounded if there is a format and they are f32.
    pub fn new(format: Option<Format>, x: View<'a, T>, size: (usize, usize)) -> Self {
        match (format, T::f32s(x.data)) {
            (Some(format), Some(data)) => {
                let mut rows = Lent::<HalfRows>::default();
                rows.fill(View { data, row_stride: x.row_stride, column_stride: x.column_stride }, size, format);
                Self::Rounded(rows)
            }
            _ => Self::Full(x),
        }
    }

    /// All of `x`, whose rows have `width` numbers.
    pub fn rows(format: Option<Format>, x: &'a [T], width: usize) -> Self {
        Self::new(format, View::rows(x, width), (x.len() / width, width))
    }
}

/// A right operand that is made for a few products.
pub(super) enum Made<'a, T: Buffered> {
    InPlace(Right<'a, T>),
    Packed(Reused<T>),
    Rounded(Lent<HalfPacked>),
}

impl<'a, T: Lane + Buffered> Made<'a, T> {
    /// `[k, n]`, rounded if there is a format and it is f32; in place if its rows fill whole vectors.
    pub fn new(format: Option<Format>, x: View<'a, T>, (k, n): (usize, usize)) -> Self {
        match (format, T::f32s(x.data)) {
            (Some(format), Some(data)) => {
                let mut packed = Lent::<HalfPacked>::default();
                packed.fill(View { data, row_stride: x.row_stride, column_stride: x.column_stride }, (k, n), format);
                Self::Rounded(packed)
            }
            _ if x.column_stride == 1 && n.is_multiple_of(lanes::<T>()) => {
                Self::InPlace(Right::Rows { data: x.data, stride: x.row_stride, k, n })
            }
            _ => {
                let mut packed = Reused::default();
                packed.fill(x, k, n);
                Self::Packed(packed)
            }
        }
    }

    /// `out = start + left self` for rows; both operands were made with the same format.
    pub fn product(&self, rows: usize, left: &Left<T>, (out, out_stride): (&mut [T], usize), start: Start<T>) {
        match (left, self) {
            (Left::Full(left), Self::InPlace(right)) => multiply(rows, *left, *right, (out, out_stride), start),
            (Left::Full(left), Self::Packed(right)) => {
                multiply(rows, *left, Right::Packed(right), (out, out_stride), start);
            }
            (Left::Rounded(left), Self::Rounded(right)) => {
                let whole = Part { columns: 0..right.n, depth: 0..right.k };
                rounded(left, (right, whole), (out, out_stride), start);
            }
            _ => unreachable!("operands of one product have one format"),
        }
    }
}

/// `out = start + left weight` for a part of the weight.
pub(super) fn product<T: Lane>(
    rows: usize,
    left: &Left<T>,
    (weight, direction, part): (&Frozen<T>, Direction, Part),
    (out, out_stride): (&mut [T], usize),
    start: Start<T>,
) {
    match left {
        Left::Full(left) => multiply_part(rows, *left, (weight.right(direction), part), (out, out_stride), start),
        Left::Rounded(left) => match weight.rounded(direction, left.format()) {
            Some(right) => rounded(left, (right, part), (out, out_stride), start),
            None => unreachable!("rows are rounded only if they are f32"),
        },
    }
}

fn rounded<T: Lane>(
    left: &HalfRows,
    right: (&HalfPacked, Part),
    (out, out_stride): (&mut [T], usize),
    start: Start<T>,
) {
    let Some(out) = T::f32s_mut(out) else { unreachable!("rows are rounded only if they are f32") };
    let start = match start {
        Start::Zero => Start::Zero,
        Start::Kept => Start::Kept,
        Start::Row(row) => T::f32s(row).map_or(Start::Zero, Start::Row),
    };
    multiply_half(left, right, (out, out_stride), start);
}
