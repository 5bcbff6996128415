//! The right operand of a product with rounded factors.

use std::ops::Range;

use super::rows::bf16_bits;
use super::{Format, Panels, Unit};
use crate::nn::gemm::View;
use crate::nn::kernel::{Kernel, vectorised};
use crate::nn::matmul::Packed;

/// A right operand `[k, n]` of rounded numbers.
#[derive(Debug)]
pub(crate) struct HalfPacked {
    pub k: usize,
    pub n: usize,
    format: Format,
    unit: Unit,
    numbers: Numbers,
}

#[derive(Debug)]
pub(super) enum Numbers {
    /// `[panels, k / paired, width, paired]`, the last panel and the last rows filled up with zeros.
    Native(Vec<u16>),
    /// For processors without the instructions.
    Plain(Packed<f32>),
}

impl Default for HalfPacked {
    fn default() -> Self {
        Self { k: 0, n: 0, format: Format::Bf16, unit: Unit::Plain, numbers: Numbers::Native(Vec::new()) }
    }
}

impl HalfPacked {
    /// Rounds a matrix `[k, n]`.
    pub fn new(matrix: View<f32>, size: (usize, usize), format: Format) -> Self {
        let mut packed = Self::default();
        packed.fill(matrix, size, format);
        packed
    }

    /// Takes another matrix, into the same memory if it fits.
    pub fn fill(&mut self, matrix: View<f32>, size: (usize, usize), format: Format) {
        self.fill_for(matrix, size, format, format.unit());
    }

    pub(super) fn fill_for(&mut self, matrix: View<f32>, (k, n): (usize, usize), format: Format, unit: Unit) {
        matrix.check(k, n);
        (self.k, self.n, self.format, self.unit) = (k, n, format, unit);
        if unit == Unit::Plain {
            let at = |row: usize, column: usize| matrix.data[row * matrix.row_stride + column * matrix.column_stride];
            let rounded: Vec<f32> = (0..k * n).map(|i| format.rounded(at(i / n, i % n))).collect();
            self.numbers = Numbers::Plain(Packed::new(View::rows(&rounded, n), k, n));
            return;
        }
        let (Panels { width, .. }, size) = (self.panels(), self.panel_len());
        if matches!(self.numbers, Numbers::Plain(_)) {
            self.numbers = Numbers::Native(Vec::new());
        }
        let Numbers::Native(data) = &mut self.numbers else { return };
        data.resize(n.div_ceil(width) * size, 0);
        for (panel, to) in data.chunks_exact_mut(size.max(1)).enumerate() {
            let first = panel * width;
            let columns = first..(first + width).min(n);
            if columns.len() < width {
                to.fill(0);
            }
            let from = View { data: &matrix.data[first * matrix.column_stride..], ..matrix };
            match format {
                Format::Bf16 => fill_pairs(from, (k, columns.len()), to.as_chunks_mut::<2>().0, width),
                Format::F16 => {
                    for (row, to) in to.chunks_exact_mut(width).enumerate() {
                        for (column, to) in to[..columns.len()].iter_mut().enumerate() {
                            let x = from.data[row * from.row_stride + column * from.column_stride];
                            *to = half::f16::from_f32(x).to_bits();
                        }
                    }
                }
            }
        }
    }

    pub fn format(&self) -> Format {
        self.format
    }

    pub(super) fn unit(&self) -> Unit {
        self.unit
    }

    pub(super) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    pub(super) fn panels(&self) -> Panels {
        self.format.panels(self.unit)
    }

    fn panel_len(&self) -> usize {
        let Panels { width, whole, .. } = self.panels();
        self.k.next_multiple_of(whole) * width
    }

    /// The panels of some columns from row `row` on, each with the one that comes after it.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn panels_of(&self, columns: Range<usize>, row: usize) -> impl Iterator<Item = (usize, [&[u16]; 2])> {
        let width = self.panels().width;
        columns.clone().step_by(width).map(move |first| {
            let next = if first + width < columns.end { first + width } else { first };
            (first, [first, next].map(|column| self.panel(column, row)))
        })
    }

    /// The numbers of the panel that begins at `column`, from row `row` on.
    #[cfg(target_arch = "x86_64")]
    fn panel(&self, column: usize, row: usize) -> &[u16] {
        let (Panels { width, .. }, size) = (self.panels(), self.panel_len());
        match &self.numbers {
            Numbers::Native(data) => &data[column / width * size..][..size][row * width..],
            Numbers::Plain(_) => &[],
        }
    }
}

/// Rounds `[k, columns]` into pairs of rows `[k / 2, width]`; rows after the last are zero.
fn fill_pairs(from: View<f32>, (k, columns): (usize, usize), to: &mut [[u16; 2]], width: usize) {
    to[k.div_ceil(2) * width..].fill([0; 2]);
    if from.row_stride == 1 {
        // each column's numbers lie side by side
        for column in 0..columns {
            let (pairs, tail) = from.data[column * from.column_stride..][..k].as_chunks::<2>();
            let mut to = to[column..].iter_mut().step_by(width);
            to.by_ref().zip(pairs).for_each(|(to, [upper, lower])| *to = [bf16_bits(*upper), bf16_bits(*lower)]);
            to.zip(tail).for_each(|(to, upper)| *to = [bf16_bits(*upper), 0]);
        }
        return;
    }
    let row = |i: usize| &from.data[i * from.row_stride..];
    for (pair, to) in to.chunks_exact_mut(width).take(k.div_ceil(2)).enumerate() {
        let (upper, lower) = (row(2 * pair), (2 * pair + 1 < k).then(|| row(2 * pair + 1)));
        if let (1, Some(lower)) = (from.column_stride, lower) {
            vectorised(Pair { upper: &upper[..columns], lower: &lower[..columns], to: &mut to[..columns] });
            continue;
        }
        for (column, to) in to[..columns].iter_mut().enumerate() {
            let at = column * from.column_stride;
            *to = [bf16_bits(upper[at]), lower.map_or(0, |lower| bf16_bits(lower[at]))];
        }
    }
}

/// Two rows side by side.
struct Pair<'a> {
    upper: &'a [f32],
    lower: &'a [f32],
    to: &'a mut [[u16; 2]],
}

impl Kernel for Pair<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        for ((to, upper), lower) in self.to.iter_mut().zip(self.upper).zip(self.lower) {
            *to = [bf16_bits(*upper), bf16_bits(*lower)];
        }
    }
}
