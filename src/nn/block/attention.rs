//! The attention of one head of one item, `softmax(Q K^T / sqrt(d)) V`, and its gradient.
//!
//! Scores are made for some rows at a time and never kept: the backward pass makes them again from
//! the logarithm of each row's sum, which costs one product and saves `tokens * tokens` numbers a head.

use super::products::{Left, Made};
use crate::nn::buffers::{Buffered, with_scratch};
use crate::nn::gemm::View;
use crate::nn::kernel::{Kernel, dot, largest, softmax_term, sum, vectorised};
use crate::nn::matmul::half::Format;
use crate::nn::matmul::{Lane, Start, padded};

/// Rows of scores at a time.
const ROWS: usize = 64;

/// One head: queries, keys and values `[tokens, width]`, `stride` numbers from one token to the next.
#[derive(Clone, Copy)]
pub(super) struct Head<'a, T> {
    pub q: &'a [T],
    pub k: &'a [T],
    pub v: &'a [T],
    pub stride: usize,
    pub tokens: usize,
    pub width: usize,
    /// Later tokens are hidden.
    pub causal: bool,
    /// Factors of products are rounded to it; the softmax is not.
    pub format: Option<Format>,
}

impl<T: Lane + Buffered> Head<'_, T> {
    fn scale(&self) -> T {
        T::of((self.width as f64).powf(-0.5))
    }

    /// `[m, k]` as a left operand.
    fn left<'a>(&self, x: View<'a, T>, size: (usize, usize)) -> Left<'a, T> {
        Left::new(self.format, x, size)
    }

    /// `[k, n]` as a right operand.
    fn right<'a>(&self, x: View<'a, T>, size: (usize, usize)) -> Made<'a, T> {
        Made::new(self.format, x, size)
    }

    /// Number of tokens that token `i` sees.
    fn seen(&self, i: usize) -> usize {
        if self.causal { i + 1 } else { self.tokens }
    }

    /// Writes the head's output `[tokens, width]` and, for each token, the logarithm of the sum of its
    /// exponentials.
    pub fn forward(&self, out: &mut [T], log_sums: &mut [T]) {
        let (n, d, room) = (self.tokens, self.width, padded::<T>(self.tokens));
        let keys = self.right(View::rows(self.k, self.stride).t(), (d, n));
        let values = self.right(View::rows(self.v, self.stride), (n, d));
        with_scratch([ROWS.min(n) * room], |[scores]: [&mut [T]; 1]| {
            for first in (0..n).step_by(ROWS) {
                let rows = ROWS.min(n - first);
                let q = self.left(View::rows(&self.q[first * self.stride..], self.stride), (rows, d));
                keys.product(rows, &q, (scores, room), Start::Zero);
                vectorised(Probabilities { head: self, first, scores, log_sums: &mut log_sums[first..first + rows] });
                let probabilities = self.left(View::rows(scores, room), (rows, n));
                let out = &mut out[first * d..(first + rows) * d];
                values.product(rows, &probabilities, (out, d), Start::Zero);
            }
        });
    }

    /// Gradients of q, k and v, each `[tokens, width]`, from that of the output `y` `[tokens, width]`.
    ///
    /// Works on some keys at a time against all queries: the gradients of keys and values are then whole products, and
    /// only that of the queries is a sum of parts. `D = rowsum(dO * O)` as in FlashAttention-2 (Dao 2023,
    /// arXiv 2307.08691, algorithm 2).
    pub fn backward(&self, log_sums: &[T], y: &[T], dy: &[T], dy_stride: usize, [dq, dk, dv]: [&mut [T]; 3]) {
        let (n, d, room) = (self.tokens, self.width, padded::<T>(self.tokens));
        let (q, dy_rows) = (View::rows(self.q, self.stride), View::rows(dy, dy_stride));
        let (queries, gradients) = (self.right(q.t(), (d, n)), self.right(dy_rows.t(), (d, n)));
        let (q, dy_rows) = (self.right(q, (n, d)), self.right(dy_rows, (n, d)));
        dq.fill(T::ZERO);
        let len = ROWS.min(n) * room;
        with_scratch([len, len, n], |[p, ds, along]: [&mut [T]; 3]| {
            for ((along, y), dy) in along.iter_mut().zip(y.chunks_exact(d)).zip(dy.chunks(dy_stride)) {
                *along = dot(y, &dy[..d]);
            }
            for first in (0..n).step_by(ROWS) {
                let rows = ROWS.min(n - first);
                let [k, v] = [self.k, self.v].map(|x| View::rows(&x[first * self.stride..], self.stride));
                queries.product(rows, &self.left(k, (rows, d)), (p, room), Start::Zero);
                gradients.product(rows, &self.left(v, (rows, d)), (ds, room), Start::Zero);
                let (p, ds) = (&mut p[..rows * room], &mut ds[..rows * room]);
                vectorised(ScoreGradients { head: self, first, log_sums, along, p, ds });
                let (p, ds) = (View::rows(p, room), View::rows(ds, room));
                let part = first * d..(first + rows) * d;
                q.product(rows, &self.left(ds, (rows, n)), (&mut dk[part.clone()], d), Start::Zero);
                dy_rows.product(rows, &self.left(p, (rows, n)), (&mut dv[part], d), Start::Zero);
                self.right(k, (rows, d)).product(n, &self.left(ds.t(), (n, rows)), (dq, d), Start::Kept);
            }
        });
    }
}

/// Turns rows of scores into probabilities, from token `first` on, and notes the logarithms of the sums.
struct Probabilities<'a, T> {
    head: &'a Head<'a, T>,
    first: usize,
    scores: &'a mut [T],
    log_sums: &'a mut [T],
}

impl<T: Lane + Buffered> Kernel for Probabilities<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { head, first, scores, log_sums } = self;
        let (n, scale) = (head.tokens, head.scale());
        for ((i, row), log_sum) in scores.chunks_exact_mut(padded::<T>(n)).enumerate().zip(log_sums) {
            let (shown, hidden) = row[..n].split_at_mut(head.seen(first + i));
            let largest = largest(shown) * scale;
            shown.iter_mut().for_each(|s| *s = softmax_term(*s * scale - largest));
            let total = sum(shown);
            let inverse = T::ONE / total;
            shown.iter_mut().for_each(|s| *s *= inverse);
            hidden.fill(T::ZERO);
            *log_sum = largest + total.logarithm();
        }
    }
}

/// Turns scores `p` of keys from `first` on against all queries into probabilities, and gradients of the probabilities
/// `ds` into those of the products of queries and keys.
struct ScoreGradients<'a, T> {
    head: &'a Head<'a, T>,
    first: usize,
    log_sums: &'a [T],
    /// Each query's sum of probabilities times their gradients.
    along: &'a [T],
    p: &'a mut [T],
    ds: &'a mut [T],
}

impl<T: Lane + Buffered> Kernel for ScoreGradients<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run(self) {
        let Self { head, first, log_sums, along, p, ds } = self;
        let (n, scale, room) = (head.tokens, head.scale(), padded::<T>(head.tokens));
        for (key, (p, ds)) in p.chunks_exact_mut(room).zip(ds.chunks_exact_mut(room)).enumerate() {
            // earlier queries do not see a later key
            let hidden = if head.causal { first + key } else { 0 };
            p[..hidden].fill(T::ZERO);
            ds[..hidden].fill(T::ZERO);
            let rows = p[hidden..n].iter_mut().zip(&mut ds[hidden..n]).zip(&log_sums[hidden..]).zip(&along[hidden..]);
            for (((p, ds), log_sum), along) in rows {
                *p = softmax_term(*p * scale - *log_sum);
                *ds = *p * (*ds - *along) * scale;
            }
        }
    }
}
