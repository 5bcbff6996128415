//! Products of f32 numbers whose factors are rounded to sixteen bits first, added in f32.
//!
//! Only for the steps of an attack: what is reported is computed in f32. Two formats:
//!
//! - **bf16**: eight bits of precision, the range of f32. With AMX one instruction multiplies whole tiles; with AVX512-BF16
//!   one adds two products to each f32 sum.
//! - **f16**: eleven bits; each row of the left operand is scaled by a power of two, so that its largest number is near one
//!   and nothing overflows. With AVX512-FP16 sums of 64 products are kept in f16 and added up in f32, which
//!   rounds about as much as bf16 does to its factors, at twice the speed of f32.
//!
//! A processor without the instructions computes the same from rounded numbers in f32, no faster than f32.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod lent;
mod packed;
mod rows;
#[cfg(test)]
mod tests;

use half::{bf16, f16};

use super::{Part, Right, Start, multiply_part};
use crate::nn::gemm::View;
pub(crate) use lent::Lent;
pub(crate) use packed::HalfPacked;
use packed::Numbers;
pub(crate) use rows::HalfRows;

/// A number of columns where panels of every format begin.
pub(super) const WIDEST: usize = 96;

/// Sixteen-bit formats of factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The upper half of an f32.
    Bf16,
    /// IEEE half precision.
    F16,
}

/// What a processor multiplies numbers of a format with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// The instructions for f32, on rounded numbers.
    Plain,
    /// Vector instructions for the format.
    Vectors,
    /// The matrix unit: tiles of sixteen rows.
    Tiles,
}

/// How the numbers of a right operand are laid out for a unit.
#[derive(Debug, Clone, Copy)]
struct Panels {
    /// Columns of a panel.
    width: usize,
    /// Rows that stand side by side.
    paired: usize,
    /// The number of rows is filled up with zeros to a multiple of this.
    whole: usize,
}

impl Format {
    /// The fastest unit of this processor.
    pub(crate) fn unit(self) -> Unit {
        let fastest =
            [Unit::Tiles, Unit::Vectors].into_iter().find(|unit| self.runs_on(*unit) && self.gains_from(*unit));
        fastest.unwrap_or(Unit::Plain)
    }

    /// Whether products of activations gain from rounding too, as those with weights do. Not in f16: gradients are below
    /// its smallest numbers, and only left operands are scaled.
    pub(crate) fn suits_activations(self) -> bool {
        self == Self::Bf16 && self.unit() != Unit::Plain
    }

    /// Whether this processor has the unit's instructions.
    fn runs_on(self, unit: Unit) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let base = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            match (unit, self) {
                (Unit::Plain, _) => true,
                (Unit::Tiles, Self::Bf16) => base && amx::is_available(),
                (Unit::Tiles, Self::F16) => false,
                (Unit::Vectors, Self::Bf16) => base && is_x86_feature_detected!("avx512bf16"),
                (Unit::Vectors, Self::F16) => base && is_x86_feature_detected!("avx512fp16"),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            unit == Unit::Plain
        }
    }

    /// Whether the unit is faster than f32. Processors with AVX512-FP16 (Intel's since Sapphire Rapids, which do bf16 in
    /// tiles) run the bf16 instructions of AVX-512 more slowly than f32: `docs/performance.md`.
    fn gains_from(self, unit: Unit) -> bool {
        (self, unit) != (Self::Bf16, Unit::Vectors) || !Self::F16.runs_on(Unit::Vectors)
    }

    /// The nearest number of the format.
    fn rounded(self, x: f32) -> f32 {
        match self {
            Self::Bf16 => bf16::from_f32(x).to_f32(),
            Self::F16 => f16::from_f32(x).to_f32(),
        }
    }

    /// Three vectors of sums, or two tiles side by side.
    fn panels(self, unit: Unit) -> Panels {
        match (unit, self) {
            (Unit::Tiles, _) => Panels { width: 32, paired: 2, whole: 32 },
            (_, Self::Bf16) => Panels { width: 48, paired: 2, whole: 2 },
            (_, Self::F16) => Panels { width: 96, paired: 1, whole: 1 },
        }
    }
}

/// As [`multiply_part`] with rounded factors. A part of more than one has rows that fill tiles.
pub(crate) fn multiply_half(
    left: &HalfRows,
    (right, part): (&HalfPacked, Part),
    (out, out_stride): (&mut [f32], usize),
    start: Start<f32>,
) {
    let Part { columns, depth } = &part;
    assert!(columns.end <= right.n && depth.end <= right.k, "part {columns:?}, {depth:?} of {}x{}", right.k, right.n);
    assert!(left.k() == depth.len() && left.format() == right.format(), "{} products for {}", left.k(), depth.len());
    assert!(left.unit() == right.unit(), "operands of two units");
    View::rows(&*out, out_stride).check(left.len(), columns.len());
    if let Start::Row(row) = start {
        assert!(row.len() >= columns.len(), "a start of {} numbers for {} columns", row.len(), columns.len());
    }
    match right.numbers() {
        Numbers::Plain(packed) => {
            let left = (left.len(), View::rows(left.plain(), left.k()));
            multiply_part(left.0, left.1, (Right::Packed(packed), part), (out, out_stride), start);
        }
        #[cfg(target_arch = "x86_64")]
        Numbers::Native(_) => {
            let Panels { width, whole, .. } = right.panels();
            assert!(columns.start.is_multiple_of(width) && depth.start.is_multiple_of(whole), "a part cuts a panel");
            match right.unit() {
                Unit::Tiles => amx::multiply(left, (right, &part), (out, out_stride), start),
                _ => avx512::multiply(left, (right, &part), (out, out_stride), start),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Numbers::Native(_) => unreachable!("no unit is native here"),
    }
}
