//! Products of f32 numbers whose factors are rounded to sixteen bits first, added in f32.
//!
//! Only for the steps of an attack: what is reported is computed in f32. Two formats:
//!
//! - **bf16**: eight bits of precision, the range of f32. With AVX512-BF16 one instruction adds two products to an f32 sum.
//! - **f16**: eleven bits; each row of the left operand is scaled by a power of two, so that its largest number is near one
//!   and nothing overflows. With AVX512-FP16 sums of 64 products are kept in f16 and added up in f32, which
//!   rounds about as much as bf16 does to its factors, at twice the speed of f32.
//!
//! A processor without the instructions computes the same from rounded numbers in f32, no faster than f32.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod rows;
#[cfg(test)]
mod tests;

use half::{bf16, f16};

use super::{Packed, Part, Right, Start, multiply_part};
use crate::nn::gemm::View;
pub(crate) use rows::HalfRows;

/// Columns of the widest panel of any format.
pub(super) const WIDEST: usize = 96;

/// Sixteen-bit formats of factors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The upper half of an f32.
    Bf16,
    /// IEEE half precision.
    F16,
}

impl Format {
    /// Whether this processor multiplies numbers of this format faster than it would f32.
    ///
    /// Processors with AVX512-FP16 (Intel's since Sapphire Rapids, which do bf16 in tiles of their own) run the bf16
    /// instructions of AVX-512 more slowly than f32: `docs/performance.md`.
    pub fn is_native(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            let base = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            base && match self {
                Self::Bf16 => is_x86_feature_detected!("avx512bf16") && !is_x86_feature_detected!("avx512fp16"),
                Self::F16 => is_x86_feature_detected!("avx512fp16"),
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// The nearest number of the format.
    fn rounded(self, x: f32) -> f32 {
        match self {
            Self::Bf16 => bf16::from_f32(x).to_f32(),
            Self::F16 => f16::from_f32(x).to_f32(),
        }
    }

    fn bits(self, x: f32) -> u16 {
        match self {
            Self::Bf16 => bf16::from_f32(x).to_bits(),
            Self::F16 => f16::from_f32(x).to_bits(),
        }
    }

    /// Whether this processor has the instructions at all.
    #[cfg(test)]
    fn has_instructions(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Bf16 {
            return is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512bf16");
        }
        self.is_native()
    }

    /// Columns of a panel: three vectors of sums.
    fn panel_width(self) -> usize {
        match self {
            Self::Bf16 => 48,
            Self::F16 => 96,
        }
    }

    /// Rows of the right operand that stand side by side.
    fn paired(self) -> usize {
        match self {
            Self::Bf16 => 2,
            Self::F16 => 1,
        }
    }
}

/// A right operand `[k, n]` of rounded numbers.
#[derive(Debug)]
pub(crate) struct HalfPacked {
    pub k: usize,
    pub n: usize,
    format: Format,
    numbers: Numbers,
}

#[derive(Debug)]
enum Numbers {
    /// `[panels, k / paired, width, paired]`, the last panel and the last pair filled up with zeros.
    Native(Vec<u16>),
    /// For processors without the instructions.
    Plain(Packed<f32>),
}

impl HalfPacked {
    /// Rounds a row-major matrix `[k, n]`.
    pub fn new(matrix: View<f32>, (k, n): (usize, usize), format: Format) -> Self {
        Self::with(matrix, (k, n), format, format.is_native())
    }

    pub fn format(&self) -> Format {
        self.format
    }

    fn with(matrix: View<f32>, (k, n): (usize, usize), format: Format, native: bool) -> Self {
        matrix.check(k, n);
        let at = |row: usize, column: usize| matrix.data[row * matrix.row_stride + column * matrix.column_stride];
        let numbers = if native {
            let (width, paired) = (format.panel_width(), format.paired());
            let pairs = k.div_ceil(paired);
            let mut data = vec![0; n.div_ceil(width) * pairs * width * paired];
            for (panel, to) in data.chunks_exact_mut((pairs * width * paired).max(1)).enumerate() {
                for row in 0..k {
                    let to = &mut to[row / paired * width * paired + row % paired..];
                    for column in 0..width.min(n - panel * width) {
                        to[column * paired] = format.bits(at(row, panel * width + column));
                    }
                }
            }
            Numbers::Native(data)
        } else {
            let rounded: Vec<f32> = (0..k * n).map(|i| format.rounded(at(i / n, i % n))).collect();
            Numbers::Plain(Packed::new(View::rows(&rounded, n), k, n))
        };
        Self { k, n, format, numbers }
    }

    /// The first number of the panel of `column`, from pair `pair` on.
    #[cfg(target_arch = "x86_64")]
    fn panel<'a>(&self, data: &'a [u16], column: usize, pair: usize) -> &'a [u16] {
        let (width, paired) = (self.format.panel_width(), self.format.paired());
        let size = self.k.div_ceil(paired) * width * paired;
        &data[column / width * size..][..size][pair * width * paired..]
    }
}

/// As [`multiply_part`] with rounded factors. The part's rows begin at an even one.
pub(crate) fn multiply_half(
    left: &HalfRows,
    (right, part): (&HalfPacked, Part),
    (out, out_stride): (&mut [f32], usize),
    start: Start<f32>,
) {
    let Part { columns, depth } = &part;
    assert!(columns.end <= right.n && depth.end <= right.k, "part {columns:?}, {depth:?} of {}x{}", right.k, right.n);
    assert!(left.k() == depth.len() && left.format() == right.format, "{} products for {}", left.k(), depth.len());
    View::rows(&*out, out_stride).check(left.len(), columns.len());
    match &right.numbers {
        Numbers::Plain(packed) => {
            let Some(numbers) = left.plain() else { unreachable!("both operands know what the processor has") };
            let left = (left.len(), View::rows(numbers, left.k()));
            multiply_part(left.0, left.1, (Right::Packed(packed), part), (out, out_stride), start);
        }
        #[cfg(target_arch = "x86_64")]
        Numbers::Native(data) => {
            assert!(columns.start.is_multiple_of(right.format.panel_width()) && depth.start.is_multiple_of(2));
            avx512::multiply(left, (right, data, &part), (out, out_stride), start);
        }
        #[cfg(not(target_arch = "x86_64"))]
        Numbers::Native(_) => unreachable!("no format is native here"),
    }
}
