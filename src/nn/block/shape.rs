//! Sizes of a block and how its rows are shared out.

use crate::nn::matmul::Lane;

/// Rows of one task at most: their activations fit into the second-level cache beside the weights.
const MOST_ROWS: usize = 256;

/// Sizes of one call of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub items: usize,
    pub tokens: usize,
    pub width: usize,
    pub heads: usize,
    /// Features of the MLP's inner layer.
    pub inner: usize,
}

impl Sizes {
    /// Rows of all items.
    pub fn rows(&self) -> usize {
        self.items * self.tokens
    }

    /// Features of a head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Numbers of one head of one item.
    pub fn head_len(&self) -> usize {
        self.tokens * self.head_width()
    }

    /// Rows of a task: equal shares for all threads. Results do not depend on it.
    pub fn task_rows(&self) -> usize {
        let threads = rayon::current_num_threads();
        let tasks = self.rows().div_ceil(MOST_ROWS).next_multiple_of(threads);
        self.rows().div_ceil(tasks).max(1)
    }

    /// Puts what the heads made of rows `first..` side by side. `by_head` is `[items, heads, parts, tokens, head
    /// width]`; a row of `out` is `[parts, heads, head width]`.
    pub fn gather<T: Lane>(&self, by_head: &[T], parts: usize, first: usize, out: &mut [T]) {
        let (d, len) = (self.head_width(), self.head_len());
        for (i, row) in out.chunks_exact_mut(parts * self.width).enumerate() {
            let (item, token) = ((first + i) / self.tokens, (first + i) % self.tokens);
            for (at, to) in row.chunks_exact_mut(d).enumerate() {
                let (part, head) = (at / self.heads, at % self.heads);
                let from = ((item * self.heads + head) * parts + part) * len + token * d;
                to.copy_from_slice(&by_head[from..from + d]);
            }
        }
    }
}
