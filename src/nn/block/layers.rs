//! The layers of a block in one number type, and what its rows go through between two attentions.
//!
//! All of it concerns one row at a time, so a task takes some rows through all layers at once while
//! their numbers are in the cache; of the MLP's wide layer it holds a part at a time.

use std::sync::Arc;

use super::adapter::Bottleneck;
use super::products::{Left, product};
use crate::nn::Activation;
use crate::nn::buffers::{Buffered, with_scratch};
use crate::nn::frozen::Direction::{Backward, Forward};
use crate::nn::frozen::Frozen;
use crate::nn::layer_norm::{normalise_rows, pull_back_rows};
use crate::nn::matmul::half::Format;
use crate::nn::matmul::{Lane, Part, Start, steps};

/// Columns of the wide layer at a time.
const WIDE_COLUMNS: usize = 768;

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

/// The layers at work: with adapters, in the arithmetic of one call.
#[derive(Clone, Copy)]
pub(super) struct Stack<'a, T> {
    pub layers: &'a Layers<T>,
    pub adapters: &'a Adapted<T>,
    /// Factors of products with weights are rounded to it.
    pub format: Option<Format>,
}

impl<T> std::ops::Deref for Stack<'_, T> {
    type Target = Layers<T>;
    fn deref(&self) -> &Layers<T> {
        self.layers
    }
}

impl<T: Lane + Buffered> Stack<'_, T> {
    /// `out = x W^T + b` for rows.
    fn apply(&self, layer: &Frozen<T>, x: &[T], out: &mut [T]) {
        let (inner, width) = (layer.inner(), layer.out());
        let part = Part { columns: 0..width, depth: 0..inner };
        let left = Left::rows(self.format, x, inner);
        product(x.len() / inner, &left, (layer, Forward, part), (out, width), Start::Row(layer.bias()));
    }

    /// `dx = start + dy W` for rows.
    fn pull_back(&self, layer: &Frozen<T>, dy: &[T], dx: &mut [T], start: Start<T>) {
        let (inner, width) = (layer.inner(), layer.out());
        let part = Part { columns: 0..inner, depth: 0..width };
        let left = Left::rows(self.format, dy, width);
        product(dy.len() / width, &left, (layer, Backward, part), (dx, inner), start);
    }

    /// Queries, keys and values of rows.
    pub fn project(&self, x: &[T], qkv: &mut [T]) {
        if !self.norm_first {
            return self.apply(&self.qkv, x, qkv);
        }
        with_scratch([x.len()], |[z]: [&mut [T]; 1]| {
            self.norm1.apply(x, z);
            self.apply(&self.qkv, z, qkv);
        });
    }

    /// From the heads' outputs to the block's, `y`.
    pub fn forward(&self, x: &[T], heads: &[T], kept: KeptRows<T>, y: &mut [T]) {
        let KeptRows { middle, wide, last, narrow: [narrow1, narrow2] } = kept;
        self.apply(&self.out, heads, middle);
        if let Some(adapter) = &self.adapters.attention {
            adapter.forward(middle, narrow1);
        }
        middle.iter_mut().zip(x).for_each(|(m, x)| *m += *x);
        with_scratch([x.len()], |[z]: [&mut [T]; 1]| {
            if self.norm_first {
                self.norm2.apply(middle, z);
                self.mlp(z, wide, y);
                if let Some(adapter) = &self.adapters.output {
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
        let z = Left::rows(self.format, z, w);
        for columns in steps::<T>(inner, WIDE_COLUMNS) {
            let part = Part { columns: columns.clone(), depth: 0..w };
            let start = Start::Row(&self.expand.bias()[columns.clone()]);
            product(rows, &z, (&self.expand, Forward, part), (&mut wide[columns.start..], inner), start);
            with_scratch([rows * columns.len()], |[active]: [&mut [T]; 1]| {
                for (to, from) in active.chunks_exact_mut(columns.len()).zip(wide.chunks_exact(inner)) {
                    self.activation.apply(&from[columns.clone()], to);
                }
                let part = Part { columns: 0..w, depth: columns.clone() };
                let start = if columns.start == 0 { Start::Row(self.contract.bias()) } else { Start::Kept };
                let active = Left::rows(self.format, active, columns.len());
                product(rows, &active, (&self.contract, Forward, part), (y, w), start);
            });
        }
    }

    /// From the gradient of the block's output to those of the sum of `x` and the attention, `dx`, and of
    /// the heads' outputs, `dheads`.
    pub fn backward(&self, dy: &[T], kept: KeptRows<T>, dx: &mut [T], dheads: &mut [T]) {
        let KeptRows { middle, wide, last, narrow: [narrow1, narrow2] } = kept;
        with_scratch([dy.len(), dy.len()], |[branch, through]: [&mut [T]; 2]| {
            if self.norm_first {
                let branch = match &self.adapters.output {
                    Some(adapter) => {
                        branch.copy_from_slice(dy);
                        adapter.pull_back(narrow2, branch);
                        &*branch
                    }
                    None => dy,
                };
                self.mlp_pull_back(branch, wide, through, Start::Zero);
                self.norm2.pull_back(middle, through, dx);
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx += *dy);
            } else {
                self.norm2.pull_back(last, dy, branch);
                through.copy_from_slice(branch);
                self.mlp_pull_back(branch, wide, through, Start::Kept);
                self.norm1.pull_back(middle, through, dx);
            }
            let branch = match &self.adapters.attention {
                Some(adapter) => {
                    branch.copy_from_slice(dx);
                    adapter.pull_back(narrow1, branch);
                    &*branch
                }
                None => &*dx,
            };
            self.pull_back(&self.out, branch, dheads, Start::Zero);
        });
    }

    /// `dz = start +` the gradient of [`Self::mlp`]'s input.
    fn mlp_pull_back(&self, dy: &[T], wide: &[T], dz: &mut [T], start: Start<T>) {
        let (w, inner) = (self.expand.inner(), self.expand.out());
        let rows = dy.len() / w;
        let dy = Left::rows(self.format, dy, w);
        for columns in steps::<T>(inner, WIDE_COLUMNS) {
            with_scratch([rows * columns.len()], |[du]: [&mut [T]; 1]| {
                let part = Part { columns: columns.clone(), depth: 0..w };
                product(rows, &dy, (&self.contract, Backward, part), (&mut *du, columns.len()), Start::Zero);
                for (du, u) in du.chunks_exact_mut(columns.len()).zip(wide.chunks_exact(inner)) {
                    self.activation.pull_back(&u[columns.clone()], du);
                }
                let part = Part { columns: 0..w, depth: columns.clone() };
                let start = if columns.start == 0 { start } else { Start::Kept };
                let du = Left::rows(self.format, du, columns.len());
                product(rows, &du, (&self.expand, Backward, part), (dz, w), start);
            });
        }
    }

    /// Adds to `dx` what comes through queries, keys and values of rows `x`.
    pub fn project_pull_back(&self, x: &[T], dqkv: &[T], dx: &mut [T]) {
        if !self.norm_first {
            return self.pull_back(&self.qkv, dqkv, dx, Start::Kept);
        }
        with_scratch([x.len(), x.len()], |[dz, through]: [&mut [T]; 2]| {
            self.pull_back(&self.qkv, dqkv, dz, Start::Zero);
            self.norm1.pull_back(x, dz, through);
            dx.iter_mut().zip(through).for_each(|(dx, t)| *dx += *t);
        });
    }
}
