//! Products of rows and weights, in full or with factors rounded to sixteen bits.

use std::cell::RefCell;

use crate::nn::frozen::{Direction, Frozen};
use crate::nn::gemm::View;
use crate::nn::matmul::half::{Format, HalfRows, multiply_half};
use crate::nn::matmul::{Lane, Part, Start, multiply_part};

/// Rows as the left operand of several products.
pub(super) enum Left<'a, T> {
    Full(View<'a, T>),
    Rounded(&'a HalfRows),
}

/// Prepares rows `x` of `width` numbers, rounded if there is a format and they are f32.
pub(super) fn with_left<T: Lane, R>(format: Option<Format>, x: &[T], width: usize, f: impl FnOnce(Left<T>) -> R) -> R {
    thread_local!(static ROWS: RefCell<Vec<HalfRows>> = const { RefCell::new(Vec::new()) });
    let (Some(format), Some(numbers)) = (format, T::f32s(x)) else { return f(Left::Full(View::rows(x, width))) };
    let kept = ROWS.with_borrow_mut(Vec::pop).filter(|rows| rows.format() == format);
    let mut rows = kept.unwrap_or_else(|| HalfRows::new(format));
    rows.fill(View::rows(numbers, width), x.len() / width, width);
    let result = f(Left::Rounded(&rows));
    ROWS.with_borrow_mut(|free| free.push(rows));
    result
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
        Left::Rounded(left) => {
            let (Some(right), Some(out)) = (weight.rounded(direction, left.format()), T::f32s_mut(out)) else {
                unreachable!("rows are rounded only if they are f32");
            };
            let start = match start {
                Start::Zero => Start::Zero,
                Start::Kept => Start::Kept,
                Start::Row(row) => T::f32s(row).map_or(Start::Zero, Start::Row),
            };
            multiply_half(left, (right, part), (out, out_stride), start);
        }
    }
}
