//! The left operand of a product with rounded factors.

use super::Format;
use crate::nn::gemm::View;

/// Rows of rounded numbers, in the order in which the kernels broadcast them.
#[derive(Debug)]
pub(crate) struct HalfRows {
    format: Format,
    k: usize,
    /// bf16: two neighbours of a row in a word, the earlier in its lower half. f16: each number twice.
    words: Vec<u32>,
    /// What a row's results are multiplied with.
    scales: Vec<f32>,
    /// The same as f32, for processors without the instructions, and no words.
    rounded: Vec<f32>,
    native: bool,
}

impl HalfRows {
    /// Nothing yet.
    pub fn new(format: Format) -> Self {
        Self::with(format, format.is_native())
    }

    pub(super) fn with(format: Format, native: bool) -> Self {
        Self { format, k: 0, words: Vec::new(), scales: Vec::new(), rounded: Vec::new(), native }
    }

    /// Takes `m` rows of `k` numbers, `x.column_stride` of which must be one.
    pub fn fill(&mut self, x: View<f32>, m: usize, k: usize) {
        assert!(x.column_stride == 1, "rows of a product with rounded factors lie side by side");
        x.check(m, k);
        self.k = k;
        if !self.native {
            self.scales.clear();
            self.scales.resize(m, 1.);
            self.rounded.resize(m * k, 0.);
            for (to, i) in self.rounded.chunks_exact_mut(k.max(1)).zip(0..m) {
                let row = &x.data[i * x.row_stride..][..k];
                match self.format {
                    Format::Bf16 => crate::nn::kernel::vectorised(RoundedBf16 { row, to }),
                    Format::F16 => {
                        let scale = power_of_two_above(row);
                        let inverse = 1. / scale;
                        to.iter_mut().zip(row).for_each(|(to, x)| *to = Format::F16.rounded(*x * inverse) * scale);
                    }
                }
            }
            return;
        }
        let width = self.width();
        self.words.resize(m * width, 0);
        self.scales.clear();
        for (words, i) in self.words.chunks_exact_mut(width.max(1)).zip(0..m) {
            let row = &x.data[i * x.row_stride..][..k];
            self.scales.push(match self.format {
                Format::Bf16 => {
                    crate::nn::kernel::vectorised(Bf16Row { row, words });
                    1.
                }
                Format::F16 => {
                    let scale = power_of_two_above(row);
                    crate::nn::kernel::vectorised(F16Row { row, words, inverse: 1. / scale });
                    scale
                }
            });
        }
    }

    /// Words of a row.
    pub fn width(&self) -> usize {
        self.k.div_ceil(self.format.paired())
    }

    /// Numbers of a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub fn words(&self) -> &[u32] {
        &self.words
    }

    pub fn scale(&self, row: usize) -> f32 {
        self.scales[row]
    }

    /// The rounded numbers `[m, k]`, if they are f32.
    pub fn plain(&self) -> Option<&[f32]> {
        (!self.native).then_some(&self.rounded)
    }

    /// The rounded numbers `[m, k]`, scaled back.
    #[cfg(test)]
    pub fn numbers(&self) -> Vec<f32> {
        let number = |at: usize| {
            let (row, column) = (at / self.k, at % self.k);
            match self.format {
                _ if !self.native => self.rounded[at],
                Format::Bf16 => {
                    let word = self.words[row * self.width() + column / 2];
                    f32::from_bits(if column % 2 == 0 { word << 16 } else { word & 0xffff_0000 })
                }
                Format::F16 => {
                    half::f16::from_bits(self.words[row * self.width() + column] as u16).to_f32() * self.scales[row]
                }
            }
        };
        (0..self.len() * self.k).map(number).collect()
    }
}

/// A power of two that is not below the largest number, or one if there is none.
fn power_of_two_above(row: &[f32]) -> f32 {
    let largest = crate::nn::kernel::vectorised(Largest { row });
    let exponent = (largest.to_bits() >> 23).clamp(32, 222) + 1;
    f32::from_bits(exponent << 23)
}

struct Largest<'a> {
    row: &'a [f32],
}

impl crate::nn::kernel::Kernel for Largest<'_> {
    type Output = f32;
    #[inline(always)]
    fn run(self) -> f32 {
        let mut lanes = [0f32; 16];
        let (body, tail) = self.row.as_chunks::<16>();
        for chunk in body {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane = if x.abs() > *lane { x.abs() } else { *lane };
            }
        }
        lanes.into_iter().chain(tail.iter().map(|x| x.abs())).fold(0., f32::max)
    }
}

/// To the nearest, ties to even; the lower half is left over.
#[inline(always)]
fn upper_half(x: f32) -> u32 {
    let bits = x.to_bits();
    bits.wrapping_add(0x7fff + ((bits >> 16) & 1))
}

struct RoundedBf16<'a> {
    row: &'a [f32],
    to: &'a mut [f32],
}

impl crate::nn::kernel::Kernel for RoundedBf16<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.to.iter_mut().zip(self.row).for_each(|(to, x)| *to = f32::from_bits(upper_half(*x) & 0xffff_0000));
    }
}

struct Bf16Row<'a> {
    row: &'a [f32],
    words: &'a mut [u32],
}

impl crate::nn::kernel::Kernel for Bf16Row<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let (pairs, tail) = self.row.as_chunks::<2>();
        for (word, [a, b]) in self.words.iter_mut().zip(pairs) {
            *word = (upper_half(*a) >> 16) | (upper_half(*b) & 0xffff_0000);
        }
        if let (Some(word), [a]) = (self.words.last_mut(), tail) {
            *word = upper_half(*a) >> 16;
        }
    }
}

struct F16Row<'a> {
    row: &'a [f32],
    words: &'a mut [u32],
    inverse: f32,
}

impl crate::nn::kernel::Kernel for F16Row<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        // Numbers of at most one: rounded to eleven bits by their own exponents, below 2^-14 to multiples of 2^-24.
        for (word, x) in self.words.iter_mut().zip(self.row) {
            let x = *x * self.inverse;
            let bits = x.to_bits();
            let (sign, size) = ((bits >> 16) & 0x8000, bits & 0x7fff_ffff);
            let normal = (size.wrapping_add(0xfff + ((size >> 13) & 1)).wrapping_sub(112 << 23)) >> 13;
            // 0.5 has its last place at 2^-24
            let small = (f32::from_bits(size) + 0.5).to_bits() & 0x7f_ffff;
            let half = sign | if size < 113 << 23 { small } else { normal };
            *word = half | (half << 16);
        }
    }
}
