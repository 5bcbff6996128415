//! A block's forward and backward pass over all rows of a batch.

use rayon::prelude::*;

use super::attention::Head;
use super::layers::{KeptRows, Stack};
use super::shape::Sizes;
use crate::nn::buffers::{Buffer, Buffered, with_scratch};
use crate::nn::matmul::Lane;
use crate::nn::matmul::half::Format;

/// What the backward pass needs of a forward pass.
pub(super) struct Kept<T: Buffered> {
    /// `[rows, 3, width]`
    qkv: Buffer<T>,
    /// `[items, heads, tokens]`
    log_sums: Buffer<T>,
    /// The heads' outputs, `[items, heads, tokens, head width]`.
    by_head: Buffer<T>,
    middle: Buffer<T>,
    wide: Buffer<T>,
    last: Buffer<T>,
    narrow: [Buffer<T>; 2],
}

impl<T: Lane + Buffered> Kept<T> {
    fn new(sizes: &Sizes, stack: &Stack<T>) -> Self {
        let narrow = |adapter: &Option<super::adapter::Bottleneck<T>>| adapter.as_ref().map_or(0, |a| a.inner());
        let rows = sizes.rows();
        Self {
            qkv: Buffer::new(rows * 3 * sizes.width),
            log_sums: Buffer::new(rows * sizes.heads),
            by_head: Buffer::new(rows * sizes.width),
            middle: Buffer::new(rows * sizes.width),
            wide: Buffer::new(rows * sizes.inner),
            last: Buffer::new(if stack.norm_first { 0 } else { rows * sizes.width }),
            narrow: [narrow(&stack.adapters.attention), narrow(&stack.adapters.output)]
                .map(|width| Buffer::new(rows * width)),
        }
    }

    /// The heads' outputs, and the parts of tasks of `task` rows each.
    fn rows(&mut self, total: usize, task: usize) -> (&[T], Vec<KeptRows<'_, T>>) {
        let tasks = total.div_ceil(task);
        fn cut<T>(buffer: &mut [T], total: usize, task: usize) -> impl Iterator<Item = &mut [T]> {
            let width = buffer.len() / total;
            let mut parts = buffer.chunks_mut((task * width).max(1));
            std::iter::from_fn(move || Some(parts.next().unwrap_or_default()))
        }
        let Self { by_head, middle, wide, last, narrow: [narrow1, narrow2], .. } = self;
        let (mut middle, mut wide) = (cut(middle, total, task), cut(wide, total, task));
        let (mut last, mut narrow1, mut narrow2) =
            (cut(last, total, task), cut(narrow1, total, task), cut(narrow2, total, task));
        let part = |_| {
            Some(KeptRows {
                middle: middle.next()?,
                wide: wide.next()?,
                last: last.next()?,
                narrow: [narrow1.next()?, narrow2.next()?],
            })
        };
        (by_head, (0..tasks).map_while(part).collect())
    }
}

/// One head of `qkv`, whose rows are `[3, heads, head width]`.
fn head<'a, T>(sizes: &Sizes, qkv: &'a [T], task: usize, (causal, format): (bool, Option<Format>)) -> Head<'a, T> {
    let (item, head) = (task / sizes.heads, task % sizes.heads);
    let stride = 3 * sizes.width;
    let part = |i: usize| &qkv[item * sizes.tokens * stride + i * sizes.width + head * sizes.head_width()..];
    let (tokens, width, format) = (sizes.tokens, sizes.head_width(), format.filter(|f| f.suits_activations()));
    Head { q: part(0), k: part(1), v: part(2), stride, tokens, width, causal, format }
}

/// The block's output for `x` `[rows, width]`, and what [`backward`] needs.
pub(super) fn forward<T: Lane + Buffered>(stack: Stack<T>, sizes: &Sizes, causal: bool, x: &[T]) -> (Vec<T>, Kept<T>) {
    let mut kept = Kept::new(sizes, &stack);
    let (w, rows, task) = (sizes.width, sizes.rows(), sizes.task_rows());
    let x_parts = x.par_chunks(task * w);
    kept.qkv.par_chunks_mut(task * 3 * w).zip(x_parts.clone()).for_each(|(qkv, x)| stack.project(x, qkv));

    let heads = kept.by_head.par_chunks_mut(sizes.head_len()).zip(kept.log_sums.par_chunks_mut(sizes.tokens));
    heads
        .enumerate()
        .for_each(|(i, (out, log_sums))| head(sizes, &kept.qkv, i, (causal, stack.format)).forward(out, log_sums));

    let mut y = vec![T::ZERO; rows * w];
    let (by_head, parts) = kept.rows(rows, task);
    let tasks = parts.into_par_iter().zip(x_parts).zip(y.par_chunks_mut(task * w));
    tasks.enumerate().for_each(|(i, ((kept, x), y))| {
        with_scratch([x.len()], |[heads]: [&mut [T]; 1]| {
            sizes.gather(by_head, 1, i * task, heads);
            stack.forward(x, heads, kept, y);
        });
    });
    (y, kept)
}

/// The gradient of `x` from that of the block's output.
pub(super) fn backward<T: Lane + Buffered>(
    stack: Stack<T>,
    sizes: &Sizes,
    causal: bool,
    kept: &mut Kept<T>,
    [x, dy]: [&[T]; 2],
) -> Vec<T> {
    let (w, rows, task) = (sizes.width, sizes.rows(), sizes.task_rows());
    let mut dx = vec![T::ZERO; rows * w];
    let mut dheads = Buffer::new(rows * w);
    let parts = dx.par_chunks_mut(task * w).zip(dheads.par_chunks_mut(task * w));
    let tasks = kept.rows(rows, task).1.into_par_iter().zip(dy.par_chunks(task * w)).zip(parts);
    tasks.for_each(|((kept, dy), (dx, dheads))| stack.backward(dy, kept, dx, dheads));

    let mut by_head = Buffer::new(rows * 3 * w);
    let len = sizes.head_len();
    let forward = kept.log_sums.par_chunks(sizes.tokens).zip(kept.by_head.par_chunks(len));
    by_head.par_chunks_mut(3 * len).zip(forward).enumerate().for_each(|(i, (out, (log_sums, y)))| {
        let (dq, rest) = out.split_at_mut(len);
        let (dk, dv) = rest.split_at_mut(len);
        let (item, number) = (i / sizes.heads, i % sizes.heads);
        let dy = &dheads[item * sizes.tokens * w + number * sizes.head_width()..];
        head(sizes, &kept.qkv, i, (causal, stack.format)).backward(log_sums, y, dy, w, [dq, dk, dv]);
    });

    dx.par_chunks_mut(task * w).zip(x.par_chunks(task * w)).enumerate().for_each(|(i, (dx, x))| {
        with_scratch([3 * x.len()], |[dqkv]: [&mut [T]; 1]| {
            sizes.gather(&by_head, 3, i * task, dqkv);
            stack.project_pull_back(x, dqkv, dx);
        });
    });
    dx
}
