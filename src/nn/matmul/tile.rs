//! The tile kernel: a few rows by a few vectors of the result, in registers from the first product
//! to the last.

use pulp::Simd;

use super::Start;
use super::lane::Lane;

/// Most numbers in a row of a tile: three vectors of sixteen.
const MOST_COLUMNS: usize = 48;

/// Most rows of a tile on this processor.
pub(super) const fn rows<S: Simd>() -> usize {
    // 8 x 3 sums, 3 vectors of the right operand and one number of the left fill 32 registers.
    if S::REGISTER_COUNT >= 32 { 8 } else { 4 }
}

/// `out = start + left right` for one tile.
pub(super) struct Tile<'a, T> {
    pub depth: usize,
    pub left: &'a [T],
    /// From one row to the next, and from one product to the next.
    pub left_strides: (usize, usize),
    pub right: &'a [T],
    pub right_stride: usize,
    pub out: &'a mut [T],
    pub out_stride: usize,
    /// Columns that `out` has; the tile's others are computed and dropped.
    pub columns: usize,
    pub start: Start<'a, T>,
    /// The panel that comes next.
    pub next: &'a [T],
    /// Which tile of how many share `right`: each fetches its part of the next panel.
    pub share: (usize, usize),
}

impl<T: Lane> Tile<'_, T> {
    /// `rows` of at most [`rows`], `vectors` of at most three.
    #[inline(always)]
    pub fn run<S: Simd>(self, simd: S, rows: usize, vectors: usize) {
        macro_rules! choose {
            ($($rows:literal)*) => {
                match (rows, vectors) {
                    $(
                        ($rows, 1) => self.fixed::<S, $rows, 1>(simd),
                        ($rows, 2) => self.fixed::<S, $rows, 2>(simd),
                        ($rows, _) => self.fixed::<S, $rows, 3>(simd),
                    )*
                    _ => unreachable!("a tile has at most eight rows"),
                }
            };
        }
        choose!(1 2 3 4 5 6 7 8);
    }

    #[inline(always)]
    fn fixed<S: Simd, const ROWS: usize, const VECTORS: usize>(self, simd: S) {
        let Self { depth, left, left_strides, right, right_stride, out, out_stride, columns, start, next, share } =
            self;
        let width = VECTORS * T::lanes::<S>();
        let mut buffer = [T::ZERO; 8 * MOST_COLUMNS];
        let whole = columns == width;
        if let (Start::Kept, false) = (start, whole) {
            for i in 0..ROWS {
                buffer[i * width..][..columns].copy_from_slice(&out[i * out_stride..][..columns]);
            }
        }
        let (to, to_stride): (&mut [T], usize) = if whole { (&mut *out, out_stride) } else { (&mut buffer, width) };
        assert!(to.len() >= (ROWS - 1) * to_stride + width);
        if depth > 0 {
            assert!(left.len() > (ROWS - 1) * left_strides.0 + (depth - 1) * left_strides.1);
            assert!(right.len() >= (depth - 1) * right_stride + width);
        }
        let mut row = [T::ZERO; MOST_COLUMNS];
        if let (Start::Row(values), false) = (start, whole) {
            row[..columns].copy_from_slice(&values[..columns]);
        }
        // SAFETY: the assertions above hold every address that is read or written below inside its
        // slice; vectors are read and written without alignment, and any bits are a vector.
        unsafe {
            let vector = |from: *const T| from.cast::<T::Vector<S>>().read_unaligned();
            let at = |i: usize, v: usize| i * to_stride + v * T::lanes::<S>();
            let mut sums = [[T::splat(simd, T::ZERO); VECTORS]; ROWS];
            match start {
                Start::Zero => {}
                Start::Row(values) => {
                    let values = if whole { values[..width].as_ptr() } else { row.as_ptr() };
                    let values: [_; VECTORS] = std::array::from_fn(|v| vector(values.add(v * T::lanes::<S>())));
                    sums = [values; ROWS];
                }
                Start::Kept => {
                    for (i, sums) in sums.iter_mut().enumerate() {
                        for (v, sum) in sums.iter_mut().enumerate() {
                            *sum = vector(to.as_ptr().add(at(i, v)));
                        }
                    }
                }
            }
            let lefts: [*const T; ROWS] = std::array::from_fn(|i| left.as_ptr().add(i * left_strides.0));
            let mut fetch = Fetch::new(next, (depth, width), share);
            let mut step = 0;
            while step < depth {
                let until = (step + fetch.every).min(depth);
                fetch.one();
                while step < until {
                    let from = right.as_ptr().add(step * right_stride);
                    let rights: [_; VECTORS] = std::array::from_fn(|v| vector(from.add(v * T::lanes::<S>())));
                    for (sums, left) in sums.iter_mut().zip(lefts) {
                        let left = T::splat(simd, *left.add(step * left_strides.1));
                        for (sum, right) in sums.iter_mut().zip(rights) {
                            *sum = T::mul_add(simd, left, right, *sum);
                        }
                    }
                    step += 1;
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    to.as_mut_ptr().add(at(i, v)).cast::<T::Vector<S>>().write_unaligned(*sum);
                }
            }
        }
        if !whole {
            for i in 0..ROWS {
                out[i * out_stride..][..columns].copy_from_slice(&buffer[i * width..][..columns]);
            }
        }
    }
}

/// Fetches the panel after this one into the cache, a line every few products.
struct Fetch {
    next: *const i8,
    every: usize,
}

impl Fetch {
    #[inline(always)]
    fn new<T>(panel: &[T], (depth, width): (usize, usize), (tile, tiles): (usize, usize)) -> Self {
        let size = depth * width * size_of::<T>();
        let share = size.div_ceil(tiles.max(1));
        let next = panel.as_ptr().cast::<i8>().wrapping_add(tile * share);
        Self { next, every: (depth * 64 / share.max(1)).max(1) }
    }

    #[inline(always)]
    fn one(&mut self) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing that a program could see, and any address is allowed.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(self.next);
        }
        self.next = self.next.wrapping_add(64);
    }
}
