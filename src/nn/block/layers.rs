//! The layers of a block in one number type, and what its rows go through between two attentions.
//!
//! All of it concerns one row at a time, so a task takes some rows through all layers at once while
//! their numbers are in the cache; of the MLP's wide layer it holds a part at a time.

use std::sync::Arc;

use super::adapter::Bottleneck;
use crate::nn::Activation;
use crate::nn::buffers::{Buffered, with_scratch};
use crate::nn::frozen::Frozen;
use crate::nn::gemm::View;
use crate::nn::layer_norm::{normalise_rows, pull_back_rows};
use crate::nn::matmul::{Lane, Part, Start, columns, multiply_part, panel_count};

/// Panels of the wide layer at a time: 768 columns on AVX-512.
const WIDE_PANELS: usize = 16;

/// A layer norm's parameters.
#[derive(Debug)]
pub(super) struct Norm<T> {
    pub weight: Vec<T>,
    pub bias: Vec<T>,
    pub epsilon: f64,
}

impl<T: Lane> Norm<T> {
    pub fn apply(&self, x: &[T], out: &mut [T]) {
        normalise_rows(x, (&self.weight, &self.bias), self.epsilon, out);
    }

    /// The gradient of rows `x` from that of their norm.
    pub fn pull_back(&self, x: &[T], dy: &[T], out: &mut [T]) {
        pull_back_rows(x, &self.weight, dy, self.epsilon, out);
    }
}

/// Frozen layers of a block.
#[derive(Debug)]
pub(super) struct Layers<T> {
    pub qkv: Arc<Frozen<T>>,
    pub out: Arc<Frozen<T>>,
    pub expand: Arc<Frozen<T>>,
    pub contract: Arc<Frozen<T>>,
    pub norm1: Norm<T>,
    pub norm2: Norm<T>,
    pub activation: Activation,
    /// Norms come before their branches, as in CLIP, or after the sums, as in its decoder.
    pub norm_first: bool,
}

/// Adapters of the attention and of the MLP.
#[derive(Debug, Clone)]
pub(super) struct Adapted<T> {
    pub attention: Option<Bottleneck<T>>,
    pub output: Option<Bottleneck<T>>,
}

/// What the gradient needs of some rows.
pub(super) struct KeptRows<'a, T> {
    /// The sum after the attention.
    pub middle: &'a mut [T],
    /// The wide layer before its activation.
    pub wide: &'a mut [T],
    /// The sum after the MLP, where a norm follows.
    pub last: &'a mut [T],
    /// The adapters' narrow layers.
    pub narrow: [&'a mut [T]; 2],
}

impl<T: Lane + Buffered> Layers<T> {
    /// Queries, keys and values of rows.
    pub fn project(&self, x: &[T], qkv: &mut [T]) {
        if !self.norm_first {
            return self.qkv.apply(View::rows(x, self.qkv.inner()), qkv);
        }
        with_scratch([x.len()], |[z]: [&mut [T]; 1]| {
            self.norm1.apply(x, z);
            self.qkv.apply(View::rows(z, self.qkv.inner()), qkv);
        });
    }

    /// From the heads' outputs to the block's, `y`.
    pub fn forward(&self, x: &[T], heads: &[T], adapters: &Adapted<T>, kept: KeptRows<T>, y: &mut [T]) {
        let KeptRows { middle, wide, last, narrow: [narrow1, narrow2] } = kept;
        let w = self.out.out();
        self.out.apply(View::rows(heads, w), middle);
        if let Some(adapter) = &adapters.attention {
            adapter.forward(middle, narrow1);
        }
        middle.iter_mut().zip(x).for_each(|(m, x)| *m += *x);
        with_scratch([x.len()], |[z]: [&mut [T]; 1]| {
            if self.norm_first {
                self.norm2.apply(middle, z);
                self.mlp(z, wide, y);
                if let Some(adapter) = &adapters.output {
                    adapter.forward(y, narrow2);
                }
                y.iter_mut().zip(middle).for_each(|(y, m)| *y += *m);
            } else {
                self.norm1.apply(middle, z);
                self.mlp(z, wide, last);
                last.iter_mut().zip(z).for_each(|(y, z)| *y += *z);
                self.norm2.apply(last, y);
            }
        });
    }

    /// `y = contract(activation(expand(z)))`; `wide` takes what the activation is applied to.
    fn mlp(&self, z: &[T], wide: &mut [T], y: &mut [T]) {
        let (w, inner) = (self.expand.inner(), self.expand.out());
        let rows = z.len() / w;
        for panels in self.parts() {
            let columns = columns::<T>(inner, &panels);
            let part = Part { panels, depth: 0..w };
            let start = Start::Row(&self.expand.bias()[columns.clone()]);
            let to = &mut wide[columns.start..];
            multiply_part(rows, View::rows(z, w), (self.expand.forward(), part), (to, inner), start);
            with_scratch([rows * columns.len()], |[active]: [&mut [T]; 1]| {
                for (to, from) in active.chunks_exact_mut(columns.len()).zip(wide.chunks_exact(inner)) {
                    self.activation.apply(&from[columns.clone()], to);
                }
                let part = Part { panels: 0..panel_count::<T>(w), depth: columns.clone() };
                let start = if columns.start == 0 { Start::Row(self.contract.bias()) } else { Start::Kept };
                let left = View::rows(active, columns.len());
                multiply_part(rows, left, (self.contract.forward(), part), (y, w), start);
            });
        }
    }

    /// From the gradient of the block's output to those of the sum of `x` and the attention, `dx`, and of
    /// the heads' outputs, `dheads`.
    pub fn backward(&self, dy: &[T], adapters: &Adapted<T>, kept: KeptRows<T>, dx: &mut [T], dheads: &mut [T]) {
        let KeptRows { middle, wide, last, narrow: [narrow1, narrow2] } = kept;
        with_scratch([dy.len(), dy.len()], |[a, b]: [&mut [T]; 2]| {
            if self.norm_first {
                a.copy_from_slice(dy);
                if let Some(adapter) = &adapters.output {
                    adapter.pull_back(narrow2, a);
                }
                self.mlp_pull_back(a, wide, b, Start::Zero);
                self.norm2.pull_back(middle, b, dx);
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *dy);
            } else {
                self.norm2.pull_back(last, dy, a);
                b.copy_from_slice(a);
                self.mlp_pull_back(a, wide, b, Start::Kept);
                self.norm1.pull_back(middle, b, dx);
            }
            a.copy_from_slice(dx);
            if let Some(adapter) = &adapters.attention {
                adapter.pull_back(narrow1, a);
            }
            self.out.pull_back(View::rows(a, self.out.out()), dheads, Start::Zero);
        });
    }

    /// `dz = start +` the gradient of [`Self::mlp`]'s input.
    fn mlp_pull_back(&self, dy: &[T], wide: &[T], dz: &mut [T], start: Start<T>) {
        let (w, inner) = (self.expand.inner(), self.expand.out());
        let rows = dy.len() / w;
        for panels in self.parts() {
            let columns = columns::<T>(inner, &panels);
            with_scratch([rows * columns.len()], |[du]: [&mut [T]; 1]| {
                let part = Part { panels, depth: 0..w };
                let to = (&mut *du, columns.len());
                multiply_part(rows, View::rows(dy, w), (self.contract.backward(), part), to, Start::Zero);
                for (du, u) in du.chunks_exact_mut(columns.len()).zip(wide.chunks_exact(inner)) {
                    self.activation.pull_back(&u[columns.clone()], du);
                }
                let part = Part { panels: 0..panel_count::<T>(w), depth: columns.clone() };
                let start = if columns.start == 0 { start } else { Start::Kept };
                let left = View::rows(du, columns.len());
                multiply_part(rows, left, (self.expand.backward(), part), (dz, w), start);
            });
        }
    }

    /// Adds to `dx` what comes through queries, keys and values of rows `x`.
    pub fn project_pull_back(&self, x: &[T], dqkv: &[T], dx: &mut [T]) {
        let dqkv = View::rows(dqkv, self.qkv.out());
        if !self.norm_first {
            return self.qkv.pull_back(dqkv, dx, Start::Kept);
        }
        with_scratch([x.len(), x.len()], |[dz, through]: [&mut [T]; 2]| {
            self.qkv.pull_back(dqkv, dz, Start::Zero);
            self.norm1.pull_back(x, dz, through);
            dx.iter_mut().zip(through).for_each(|(dx, t)| *dx += *t);
        });
    }

    /// The wide layer's panels, some at a time.
    fn parts(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let count = panel_count::<T>(self.expand.out());
        (0..count).step_by(WIDE_PANELS).map(move |first| first..(first + WIDE_PANELS).min(count))
    }
}
