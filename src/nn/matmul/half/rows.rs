//! The left operand of a product with rounded factors.

use super::{Format, Panels, Unit};
use crate::nn::gemm::View;
use crate::nn::kernel::{Kernel, vectorised};

/// Rows of rounded numbers, in the order in which the kernels read them.
#[derive(Debug)]
pub(crate) struct HalfRows {
    format: Format,
    unit: Unit,
    m: usize,
    k: usize,
    /// bf16: two neighbours of a row in a word, the earlier in its lower half. f16: each number twice. For tiles, rows
    /// end with zeros, and there are as many as fill tiles.
    words: Vec<u32>,
    /// What a row's results are multiplied with, in f16.
    scales: Vec<f32>,
    /// The same as f32, for processors without the instructions, and no words.
    rounded: Vec<f32>,
}

impl Default for HalfRows {
    fn default() -> Self {
        let (words, scales, rounded) = (Vec::new(), Vec::new(), Vec::new());
        Self { format: Format::Bf16, unit: Unit::Plain, m: 0, k: 0, words, scales, rounded }
    }
}

impl HalfRows {
    /// Takes `m` rows of `k` numbers, into the same memory if they fit. In f16, `x.column_stride` must be one.
    pub fn fill(&mut self, x: View<f32>, (m, k): (usize, usize), format: Format) {
        self.fill_for(x, (m, k), format, format.unit());
    }

    pub(super) fn fill_for(&mut self, x: View<f32>, (m, k): (usize, usize), format: Format, unit: Unit) {
        x.check(m, k);
        (self.m, self.k, self.format, self.unit) = (m, k, format, unit);
        if unit == Unit::Plain {
            return self.fill_plain(x);
        }
        let (width, room) = (self.width(), if unit == Unit::Tiles { m.next_multiple_of(16) } else { m });
        self.words.resize(room * width, 0);
        match format {
            Format::Bf16 if x.row_stride == 1 && x.column_stride != 1 => {
                columns_to_words(x, (m, k), &mut self.words, width)
            }
            Format::Bf16 => {
                assert!(x.column_stride == 1, "rows of a product with rounded factors lie side by side");
                vectorised(Bf16Rows { x, k, words: &mut self.words[..m * width], width });
            }
            Format::F16 => {
                assert!(x.column_stride == 1, "rows of a product with rounded factors lie side by side");
                self.scales.clear();
                for (words, i) in self.words.chunks_exact_mut(width.max(1)).zip(0..m) {
                    let row = &x.data[i * x.row_stride..][..k];
                    let scale = power_of_two_above(row);
                    vectorised(F16Row { row, words, inverse: 1. / scale });
                    self.scales.push(scale);
                }
            }
        }
    }

    fn fill_plain(&mut self, x: View<f32>) {
        self.rounded.resize(self.m * self.k, 0.);
        for (to, i) in self.rounded.chunks_exact_mut(self.k.max(1)).zip(0..self.m) {
            let row = (0..self.k).map(|j| x.data[i * x.row_stride + j * x.column_stride]);
            to.iter_mut().zip(row).for_each(|(to, x)| *to = x);
            match self.format {
                Format::Bf16 => vectorised(RoundBf16 { row: to }),
                Format::F16 => {
                    let scale = power_of_two_above(to);
                    let inverse = 1. / scale;
                    to.iter_mut().for_each(|x| *x = Format::F16.rounded(*x * inverse) * scale);
                }
            }
        }
    }

    /// Words of a row.
    pub fn width(&self) -> usize {
        let Panels { paired, whole, .. } = self.format.panels(self.unit);
        self.k.next_multiple_of(whole) / paired
    }

    /// Numbers of a row.
    pub fn k(&self) -> usize {
        self.k
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.m
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    pub fn words(&self) -> &[u32] {
        &self.words
    }

    /// What the results of a row are multiplied with.
    pub fn scale(&self, row: usize) -> f32 {
        match self.format {
            Format::Bf16 => 1.,
            Format::F16 => self.scales[row],
        }
    }

    /// The rounded numbers `[m, k]`, if they are f32.
    pub(super) fn plain(&self) -> &[f32] {
        &self.rounded
    }

    /// The rounded numbers `[m, k]`, scaled back.
    #[cfg(test)]
    pub fn numbers(&self) -> Vec<f32> {
        let number = |at: usize| {
            let (row, column) = (at / self.k, at % self.k);
            match self.format {
                _ if self.unit == Unit::Plain => self.rounded[at],
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
    let largest = vectorised(Largest { row });
    let exponent = (largest.to_bits() >> 23).clamp(32, 222) + 1;
    f32::from_bits(exponent << 23)
}

struct Largest<'a> {
    row: &'a [f32],
}

impl Kernel for Largest<'_> {
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

/// The nearest bf16 number.
#[inline(always)]
pub(super) fn bf16_bits(x: f32) -> u16 {
    (upper_half(x) >> 16) as u16
}

/// Two neighbours in a word.
#[inline(always)]
fn word(first: f32, second: f32) -> u32 {
    (upper_half(first) >> 16) | (upper_half(second) & 0xffff_0000)
}

struct RoundBf16<'a> {
    row: &'a mut [f32],
}

impl Kernel for RoundBf16<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        self.row.iter_mut().for_each(|x| *x = f32::from_bits(upper_half(*x) & 0xffff_0000));
    }
}

/// Rounds rows of `k` numbers that lie side by side.
struct Bf16Rows<'a> {
    x: View<'a, f32>,
    k: usize,
    words: &'a mut [u32],
    width: usize,
}

impl Kernel for Bf16Rows<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for (i, words) in self.words.chunks_exact_mut(self.width.max(1)).enumerate() {
            let (pairs, tail) = self.x.data[i * self.x.row_stride..][..self.k].as_chunks::<2>();
            let (whole, rest) = words.split_at_mut(pairs.len());
            whole.iter_mut().zip(pairs).for_each(|(to, [a, b])| *to = word(*a, *b));
            rest.fill(0);
            if let ([last, ..], [a]) = (rest, tail) {
                *last = word(*a, 0.);
            }
        }
    }
}

/// Rounds rows whose columns lie side by side: a transposed matrix.
fn columns_to_words(x: View<f32>, (m, k): (usize, usize), words: &mut [u32], width: usize) {
    let column = |j: usize| &x.data[j * x.column_stride..][..m];
    for pair in 0..width {
        let mut to = words[pair..].iter_mut().step_by(width);
        match (2 * pair < k, 2 * pair + 1 < k) {
            (true, true) => {
                let both = column(2 * pair).iter().zip(column(2 * pair + 1));
                to.by_ref().zip(both).for_each(|(to, (a, b))| *to = word(*a, *b));
            }
            (true, false) => to.by_ref().zip(column(2 * pair)).for_each(|(to, a)| *to = word(*a, 0.)),
            _ => to.take(m).for_each(|to| *to = 0),
        }
    }
}

struct F16Row<'a> {
    row: &'a [f32],
    words: &'a mut [u32],
    inverse: f32,
}

impl Kernel for F16Row<'_> {
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
