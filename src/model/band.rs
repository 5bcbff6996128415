//! Resizing along one axis on the CPU: every output is a sum of a few neighbouring inputs.
//!
//! As a matrix the filter is a narrow band, and a dense product would multiply with zeros for most of its time. The
//! products are fused with the sums and go along the band, as in a dense product, and so do not depend on the
//! processor's vectors.

use crate::nn::{Kernel, vectorised};

/// Numbers side by side in an inner loop: four vectors of AVX-512.
const WIDE: usize = 64;
/// Rows that are resized along their length at once.
const LANES: usize = 16;

/// A matrix `[outputs, inputs]` whose rows are zero but for a few neighbours.
#[derive(Debug, Clone)]
pub(super) struct Band {
    inputs: usize,
    /// Of each row, the first input it reads and where its weights end.
    rows: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

impl Band {
    /// PIL's antialiased triangle filter: support scales when shrinking.
    pub(super) fn triangle(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let support = scale.max(1.);
        let (mut rows, mut weights) = (Vec::with_capacity(to), Vec::new());
        for i in 0..to {
            let centre = (i as f64 + 0.5) * scale;
            let first = ((centre - support + 0.5).floor().max(0.)) as usize;
            let last = ((centre + support + 0.5).floor() as usize).min(from);
            let weight = |j: usize| (1. - ((j as f64 + 0.5 - centre) / support).abs()).max(0.);
            let total: f64 = (first..last).map(weight).sum();
            weights.extend((first..last).map(|j| (weight(j) / total) as f32));
            rows.push((first, weights.len()));
        }
        Self { inputs: from, rows, weights }
    }

    pub(super) fn transposed(&self) -> Self {
        // What reads an input are neighbours too, since the band moves on from row to row.
        let mut columns: Vec<(usize, Vec<f32>)> = vec![(0, vec![]); self.inputs];
        for (i, (first, weights)) in self.iter().enumerate() {
            for ((start, column), weight) in columns[first..].iter_mut().zip(weights) {
                if column.is_empty() {
                    *start = i;
                }
                // A row that jumped over this input reads it with zero.
                column.resize(i - *start, 0.);
                column.push(*weight);
            }
        }
        let (mut rows, mut weights) = (Vec::with_capacity(self.inputs), Vec::new());
        for (start, column) in columns {
            weights.extend(column);
            rows.push((start, weights.len()));
        }
        Self { inputs: self.rows.len(), rows, weights }
    }

    /// The matrix itself, row-major.
    pub(super) fn dense(&self) -> Vec<f32> {
        let mut matrix = vec![0.; self.rows.len() * self.inputs];
        for (row, (first, weights)) in matrix.chunks_exact_mut(self.inputs).zip(self.iter()) {
            row[first..first + weights.len()].copy_from_slice(weights);
        }
        matrix
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(super) fn outputs(&self) -> usize {
        self.rows.len()
    }

    /// First input and weights of each output.
    fn iter(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let begins = std::iter::once(0).chain(self.rows.iter().map(|(_, end)| *end));
        self.rows.iter().zip(begins).map(|((first, end), begin)| (*first, &self.weights[begin..*end]))
    }

    /// Lines `[.., inputs]` to `[.., outputs]`.
    pub(super) fn along_lines(&self, x: &[f32]) -> Vec<f32> {
        let lines = x.len() / self.inputs;
        let mut out = vec![0.; lines * self.outputs()];
        vectorised(Lines { band: self, x, out: &mut out });
        out
    }

    /// Planes `[.., inputs, width]` to `[.., outputs, width]`; `each` gets the rows of the result in order, in a
    /// buffer that is used again.
    pub(super) fn across(&self, x: &[f32], width: usize, mut each: impl FnMut(&[f32])) {
        let mut row = vec![0.; width];
        for plane in x.chunks_exact(self.inputs * width) {
            for (first, weights) in self.iter() {
                vectorised(SumOfRows { row: &mut row, weights, x: &plane[first * width..] });
                each(&row);
            }
        }
    }
}

/// Lines along their length, [`LANES`] side by side.
struct Lines<'a> {
    band: &'a Band,
    /// `[lines, inputs]`
    x: &'a [f32],
    /// `[lines, outputs]`
    out: &'a mut [f32],
}

impl Kernel for Lines<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { band, x, out } = self;
        let (inputs, outputs) = (band.inputs, band.outputs());
        let mut side_by_side = vec![[0.; LANES]; inputs];
        for (x, out) in x.chunks(LANES * inputs).zip(out.chunks_mut(LANES * outputs)) {
            for (lane, line) in x.chunks_exact(inputs).enumerate() {
                side_by_side.iter_mut().zip(line).for_each(|(lanes, value)| lanes[lane] = *value);
            }
            let mut begin = 0;
            for (i, (first, end)) in band.rows.iter().enumerate() {
                let mut sums = [0f32; LANES];
                for (weight, values) in band.weights[begin..*end].iter().zip(&side_by_side[*first..]) {
                    add(&mut sums, *weight, values);
                }
                for (to, sum) in out[i..].iter_mut().step_by(outputs).zip(sums) {
                    *to = sum;
                }
                begin = *end;
            }
        }
    }
}

/// `row = sum of weight * row of x`, for the rows of `x` that `weights` has.
struct SumOfRows<'a> {
    row: &'a mut [f32],
    weights: &'a [f32],
    x: &'a [f32],
}

impl Kernel for SumOfRows<'_> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { row, weights, x } = self;
        let width = row.len();
        let (body, tail) = row.as_chunks_mut::<WIDE>();
        for (at, sums) in body.iter_mut().enumerate() {
            *sums = [0.; WIDE];
            for (k, weight) in weights.iter().enumerate() {
                let (values, _) = x[k * width + at * WIDE..].as_chunks::<WIDE>();
                add(sums, *weight, &values[0]);
            }
        }
        let begin = width - tail.len();
        tail.fill(0.);
        for (k, weight) in weights.iter().enumerate() {
            for (sum, value) in tail.iter_mut().zip(&x[k * width + begin..(k + 1) * width]) {
                *sum = weight.mul_add(*value, *sum);
            }
        }
    }
}

#[inline(always)]
fn add<const N: usize>(sums: &mut [f32; N], weight: f32, values: &[f32; N]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = weight.mul_add(*value, *sum);
    }
}
