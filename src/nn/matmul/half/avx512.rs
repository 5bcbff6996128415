//! The tile kernels with AVX-512: eight rows by three vectors, as in f32.

use std::arch::x86_64::*;

use super::{Format, HalfPacked, HalfRows, Panels};
use crate::nn::matmul::{Part, Start};

/// Rows of a tile.
const ROWS: usize = 8;

/// Vectors of a tile.
const VECTORS: usize = 3;

/// Products that are added in f16 before they go to f32.
const CHUNK: usize = 64;

/// Columns of the widest tile.
const COLUMNS: usize = 96;

/// One tile's operands; a tile of fewer than eight rows repeats its last one.
struct Tile<'a> {
    /// Words of each row.
    left: [&'a [u32]; ROWS],
    /// From the part's first row on.
    right: &'a [u16],
    sums: &'a mut [f32; ROWS * COLUMNS],
    /// Of the panel after this one, this tile's share.
    ahead: *const i8,
}

/// `out = start + left right` in panels and tiles; sizes were checked by the caller.
pub(super) fn multiply(
    left: &HalfRows,
    (right, part): (&HalfPacked, &Part),
    (out, out_stride): (&mut [f32], usize),
    start: Start<f32>,
) {
    let format = left.format();
    let (Panels { width, paired, .. }, words) = (right.panels(), left.width());
    let (m, tiles) = (left.len(), left.len().div_ceil(ROWS));
    let mut sums = [0f32; ROWS * COLUMNS];
    for (first, [panel, next]) in right.panels_of(part.columns.clone(), part.depth.start) {
        let columns = first - part.columns.start..(first + width).min(part.columns.end) - part.columns.start;
        let size = words * width * paired * 2;
        for tile in 0..tiles {
            let rows = m * tile / tiles..m * (tile + 1) / tiles;
            let row = |i: usize| (rows.start + i).min(rows.end - 1);
            let ahead = next.as_ptr().cast::<i8>().wrapping_add(size / tiles * tile);
            let left_rows = std::array::from_fn(|i| &left.words()[row(i) * words..][..words]);
            let tile = Tile { left: left_rows, right: panel, sums: &mut sums, ahead };
            let every = (words * 64 * tiles).div_ceil(size.max(1)).max(1);
            // SAFETY: a native format is chosen only if the processor has its instructions.
            unsafe {
                match format {
                    Format::Bf16 => tile.bf16(every),
                    Format::F16 => tile.f16(every),
                }
            }
            for (i, row) in rows.enumerate() {
                let scale = left.scale(row);
                let sums = &sums[i * width..][..columns.len()];
                let out = &mut out[row * out_stride..][columns.clone()];
                match start {
                    Start::Zero => out.iter_mut().zip(sums).for_each(|(o, s)| *o = s * scale),
                    Start::Row(row) => {
                        let row = &row[columns.clone()];
                        out.iter_mut().zip(sums).zip(row).for_each(|((o, s), r)| *o = r + s * scale);
                    }
                    Start::Kept => out.iter_mut().zip(sums).for_each(|(o, s)| *o += s * scale),
                }
            }
        }
    }
}

impl Tile<'_> {
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn bf16(self, every: usize) {
        let words = self.left[0].len();
        assert!(self.right.len() >= words * 96 && self.left.iter().all(|row| row.len() == words));
        let mut ahead = self.ahead;
        // SAFETY: the assertion holds all reads inside their slices, the sums have room for 8 x 48 numbers; a prefetch may
        // name any address.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
            let mut step = 0;
            while step < words {
                _mm_prefetch::<_MM_HINT_T1>(ahead);
                ahead = ahead.wrapping_add(64);
                let until = (step + every).min(words);
                while step < until {
                    let from = self.right.as_ptr().add(step * 96);
                    let right: [__m512bh; VECTORS] =
                        std::array::from_fn(|v| std::mem::transmute(_mm512_loadu_si512(from.add(v * 32).cast())));
                    for (sums, row) in sums.iter_mut().zip(self.left) {
                        let left: __m512bh = std::mem::transmute(_mm512_set1_epi32(*row.get_unchecked(step) as i32));
                        for (sum, right) in sums.iter_mut().zip(right) {
                            *sum = _mm512_dpbf16_ps(*sum, left, right);
                        }
                    }
                    step += 1;
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    _mm512_storeu_ps(self.sums.as_mut_ptr().add(i * 48 + v * 16), *sum);
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512fp16")]
    unsafe fn f16(self, every: usize) {
        let words = self.left[0].len();
        assert!(self.right.len() >= words * COLUMNS && self.left.iter().all(|row| row.len() == words));
        self.sums.fill(0.);
        let mut ahead = self.ahead;
        for first in (0..words).step_by(CHUNK) {
            let steps = CHUNK.min(words - first);
            // SAFETY: the assertion holds `steps` numbers of each row and of the panel from `first` on.
            let sums = unsafe {
                let left = self.left.map(|row| row.as_ptr().add(first));
                chunk(left, self.right.as_ptr().add(first * COLUMNS), (steps, every), ahead)
            };
            ahead = ahead.wrapping_add(steps.div_ceil(every) * 64);
            add(&sums, self.sums);
        }
    }
}

/// Sums of a few products in f16, `[ROWS][VECTORS]`. A function of its own, so that only these are in registers.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512fp16")]
unsafe fn chunk(
    left: [*const u32; ROWS],
    right: *const u16,
    (steps, every): (usize, usize),
    mut ahead: *const i8,
) -> [[__m512h; VECTORS]; ROWS] {
    let mut sums = [[_mm512_setzero_ph(); VECTORS]; ROWS];
    // SAFETY: the caller vouches for `steps` numbers; a prefetch may name any address.
    unsafe {
        let mut step = 0;
        while step < steps {
            _mm_prefetch::<_MM_HINT_T1>(ahead);
            ahead = ahead.wrapping_add(64);
            let until = (step + every).min(steps);
            while step < until {
                let from = right.add(step * COLUMNS);
                let right: [__m512h; VECTORS] =
                    std::array::from_fn(|v| _mm512_castsi512_ph(_mm512_loadu_si512(from.add(v * 32).cast())));
                for (sums, row) in sums.iter_mut().zip(left) {
                    let left = _mm512_castsi512_ph(_mm512_set1_epi32(*row.add(step) as i32));
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm512_fmadd_ph(left, right, *sum);
                    }
                }
                step += 1;
            }
        }
    }
    sums
}

/// Adds sums in f16 to those in f32.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512fp16")]
fn add(from: &[[__m512h; VECTORS]; ROWS], to: &mut [f32; ROWS * COLUMNS]) {
    let (vectors, _) = to.as_chunks_mut::<32>();
    for (sum, to) in from.as_flattened().iter().zip(vectors) {
        let bits = _mm512_castph_si512(*sum);
        let lower = _mm512_cvtxph_ps(_mm256_castsi256_ph(_mm512_castsi512_si256(bits)));
        let upper = _mm512_cvtxph_ps(_mm256_castsi256_ph(_mm512_extracti64x4_epi64::<1>(bits)));
        let (first, second) = to.split_at_mut(16);
        // SAFETY: both halves are sixteen numbers.
        unsafe {
            _mm512_storeu_ps(first.as_mut_ptr(), _mm512_add_ps(_mm512_loadu_ps(first.as_ptr()), lower));
            _mm512_storeu_ps(second.as_mut_ptr(), _mm512_add_ps(_mm512_loadu_ps(second.as_ptr()), upper));
        }
    }
}
