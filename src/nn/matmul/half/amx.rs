//! The tile kernel of the matrix unit (AMX): 32 rows by 32 columns of sums in four tiles.
//!
//! There are no stable intrinsics for it, so the inner loop is assembly. Linux gives a process the unit's registers only
//! if it asks once ([`is_available`]).

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::sync::OnceLock;

use super::{HalfPacked, HalfRows};
use crate::nn::matmul::{Part, Start};

/// Rows and columns of the sums: two tiles of sixteen each way.
const SIDE: usize = 32;

/// Pairs of products that one instruction adds.
const WORDS: usize = 16;

/// Whether the processor multiplies tiles of bf16 numbers and the system lets this process use them.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_instructions() && may_use_tiles())
}

fn has_instructions() -> bool {
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    // leaf 7 exists wherever AVX-512 does
    let features = if is_x86_feature_detected!("avx512f") { __cpuid_count(7, 0).edx } else { 0 };
    features & AMX_BF16 != 0 && features & AMX_TILE != 0
}

/// Asks the system for the tiles, for all threads of the process.
#[cfg(target_os = "linux")]
fn may_use_tiles() -> bool {
    const SYS_ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let mut answer = SYS_ARCH_PRCTL;
    // SAFETY: a system call that changes nothing but what the processor may keep for this process.
    unsafe {
        asm!("syscall", inlateout("rax") answer, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    answer == 0
}

#[cfg(not(target_os = "linux"))]
fn may_use_tiles() -> bool {
    false
}

/// The shapes of the eight tiles, as `ldtilecfg` reads them: all of sixteen rows of 64 bytes.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    first_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// While it lives, this thread's tiles have their shapes.
struct Configured;

impl Configured {
    fn new() -> Self {
        let mut shapes = Shapes { palette: 1, first_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        shapes.row_bytes[..8].fill(64);
        shapes.rows[..8].fill(16);
        // SAFETY: the unit is there, and `shapes` is a valid description of its tiles.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &shapes, options(nostack, readonly)) };
        Self
    }
}

impl Drop for Configured {
    fn drop(&mut self) {
        // SAFETY: nobody uses the tiles of this thread any more.
        unsafe { asm!("tilerelease", options(nostack, nomem)) };
    }
}

/// Sums of a tile, row by row.
#[repr(align(64))]
struct Sums([f32; SIDE * SIDE]);

/// `out = start + left right` in panels and tiles; sizes were checked by the caller.
pub(super) fn multiply(
    left: &HalfRows,
    (right, part): (&HalfPacked, &Part),
    (out, out_stride): (&mut [f32], usize),
    start: Start<f32>,
) {
    let (words, m) = (left.width(), left.len());
    let tiles = m.div_ceil(SIDE);
    let mut sums = Sums([0.; SIDE * SIDE]);
    let _tiles = Configured::new();
    for (first, [panel, next]) in right.panels_of(part.columns.clone(), part.depth.start) {
        let columns = first - part.columns.start..(first + SIDE).min(part.columns.end) - part.columns.start;
        let panel_bytes = words * SIDE * 4;
        for tile in 0..tiles {
            let rows = tile * SIDE..((tile + 1) * SIDE).min(m);
            let ahead = next.as_ptr().cast::<u8>().wrapping_add(panel_bytes / tiles * tile);
            add_products(&left.words()[rows.start * words..], panel, words, ahead, &mut sums);
            let start = match start {
                Start::Row(row) => Start::Row(&row[columns.clone()]),
                other => other,
            };
            let to = &mut out[rows.start * out_stride + columns.start..];
            // SAFETY: where there is AMX there is AVX-512, and `Format::runs_on` asked for it.
            unsafe { finish(&sums, (rows.len(), columns.len()), (to, out_stride), start) };
        }
    }
}

/// All products of up to 32 rows of `words` words and a panel. `ahead` is what will be wanted next.
fn add_products(left: &[u32], panel: &[u16], words: usize, ahead: *const u8, sums: &mut Sums) {
    let half = WORDS * words;
    // with sixteen rows or fewer, the lower tiles repeat the upper ones
    let lower = if left.len() >= 2 * half { half } else { 0 };
    assert!(words.is_multiple_of(WORDS) && words > 0 && left.len() >= half && panel.len() >= words * SIDE * 2);
    // SAFETY: every step reads 64 bytes of sixteen rows from both halves of `left`, and sixteen rows of 128 bytes of the
    // panel, which the assertion holds inside their slices; 4 KiB are written to `sums`. A prefetch may name any address.
    // The tiles were configured by the caller.
    unsafe {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{upper} + {left_stride}*1]",
            "tileloadd tmm6, [{right} + {right_stride}*1]",
            "tileloadd tmm7, [{right} + {right_stride}*1 + 64]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{lower} + {left_stride}*1]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "prefetcht1 [{ahead}]",
            "prefetcht1 [{ahead} + 64]",
            "prefetcht1 [{ahead} + 128]",
            "prefetcht1 [{ahead} + 192]",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {upper}, 64",
            "add {lower}, 64",
            "add {right}, 2048",
            "add {ahead}, 256",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{sums} + {right_stride}*1], tmm0",
            "tilestored [{sums} + {right_stride}*1 + 64], tmm1",
            "tilestored [{sums} + {right_stride}*1 + 2048], tmm2",
            "tilestored [{sums} + {right_stride}*1 + 2112], tmm3",
            upper = inout(reg) left.as_ptr() => _,
            lower = inout(reg) left.as_ptr().add(lower) => _,
            right = inout(reg) panel.as_ptr() => _,
            ahead = inout(reg) ahead => _,
            steps = inout(reg) words / WORDS => _,
            left_stride = in(reg) words * 4,
            right_stride = in(reg) 128usize,
            sums = in(reg) &raw mut *sums,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// Adds the sums to where they belong.
#[target_feature(enable = "avx512f")]
fn finish(sums: &Sums, (rows, columns): (usize, usize), (out, out_stride): (&mut [f32], usize), start: Start<f32>) {
    for (out, sums) in out.chunks_mut(out_stride).zip(sums.0.as_chunks::<SIDE>().0).take(rows) {
        let (out, sums) = (&mut out[..columns], &sums[..columns]);
        match start {
            Start::Zero => out.copy_from_slice(sums),
            Start::Row(row) => out.iter_mut().zip(sums).zip(row).for_each(|((o, s), r)| *o = r + s),
            Start::Kept => out.iter_mut().zip(sums).for_each(|(o, s)| *o += s),
        }
    }
}
