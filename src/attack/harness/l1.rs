//! The L1 ball cut by the box: its nearest point, and directions that move few entries.
//!
//! Croce and Hein 2021 (ICML), arXiv 2103.01208, section 3. To cut to the ball and then to the box, one after the
//! other, leaves a good part of the budget unused; the nearest point of both together does not. Lists are sorted and
//! searched on the CPU, whatever the device; sums are in f64.

use candle_core::{DType, Device, Result, Tensor, bail};

/// How far an entry is to change, and how far it may: to the side of the box it moves towards.
#[derive(Debug, Clone, Copy)]
struct Move {
    wanted: f64,
    room: f64,
}

impl Move {
    /// What is left of the change once all are shortened by `cut`.
    fn after(self, cut: f64) -> f64 {
        (self.wanted - cut).max(0.).min(self.room)
    }
}

/// The point nearest to `x` in the L1 ball of `radius` around `clean`, in `range`, and equal to `clean` where `region`
/// is 0. All `[3, h, w]` and in one unit; an infinite radius only clamps.
///
/// # Errors
/// Tensors of several shapes; a device that failed.
pub(super) fn project(
    x: &Tensor,
    (clean, radius): (&Tensor, f64),
    region: Option<&Tensor>,
    range: Option<(f64, f64)>,
) -> Result<Tensor> {
    if x.dims() != clean.dims() {
        bail!("a point of shape {:?} has no nearest one around an image of shape {:?}", x.dims(), clean.dims());
    }
    let region = region.map(values).transpose()?;
    let nearest = nearest(&values(x)?, (&values(clean)?, radius), region.as_deref(), range);
    Tensor::from_vec(nearest, x.dims(), &Device::Cpu)?.to_dtype(x.dtype())?.to_device(x.device())
}

/// The direction of L1 length 1 along the signs of the largest entries of `gradient` `[3, h, w]`, a `share` of the
/// `entries` that may change; the others are 0 in it already. At least one moves, and equals of the smallest do too.
///
/// # Errors
/// A device that failed.
pub(super) fn sparse_direction(gradient: &Tensor, share: f64, entries: f64) -> Result<Tensor> {
    let mut slopes = values(gradient)?;
    let all = slopes.len();
    let entries = (entries as usize).clamp(1, all);
    // What may not change has no slope, so it comes first in the order.
    let left_out = ((1. - share) * entries as f64).clamp(0., (entries - 1) as f64) as usize;
    let mut order: Vec<f32> = slopes.iter().map(|slope| slope.abs()).collect();
    let (_, least, _) = order.select_nth_unstable_by(all - entries + left_out, f32::total_cmp);
    let least = *least;
    let moves = |slope: f32| slope != 0. && slope.abs() >= least;
    let moving = slopes.iter().filter(|slope| moves(**slope)).count().max(1);
    let length = (1. / moving as f64) as f32;
    slopes.iter_mut().for_each(|slope| *slope = if moves(*slope) { length.copysign(*slope) } else { 0. });
    Tensor::from_vec(slopes, gradient.dims(), &Device::Cpu)?.to_dtype(gradient.dtype())?.to_device(gradient.device())
}

/// `gradient` without the entries that would only press `x` against a side of `range` where it already is.
///
/// # Errors
/// Tensors of several shapes; a device that failed.
pub(super) fn where_free(x: &Tensor, gradient: &Tensor, (low, high): (f64, f64)) -> Result<Tensor> {
    let dtype = gradient.dtype();
    let down = (x.gt(low)?.to_dtype(dtype)? * gradient.minimum(0.)?)?;
    let up = (x.lt(high)?.to_dtype(dtype)? * gradient.maximum(0.)?)?;
    down + up
}

/// As [`project`], on numbers.
fn nearest(x: &[f32], (clean, radius): (&[f32], f64), region: Option<&[f32]>, range: Option<(f64, f64)>) -> Vec<f32> {
    let (low, high) = range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let allowed = |entry: usize| region.is_none_or(|region| region[entry] != 0.);
    let to_go = |entry: usize| {
        let (from, to) = (f64::from(clean[entry]), f64::from(x[entry]));
        let room = if to > from { high - from } else { from - low };
        Move { wanted: (to - from).abs(), room: room.max(0.) }
    };
    let moves = (0..x.len()).filter(|entry| allowed(*entry) && x[*entry] != clean[*entry]).map(to_go).collect();
    let cut = smallest_cut(moves, radius);
    (0..x.len())
        .map(|entry| match cut {
            _ if !allowed(entry) => clean[entry],
            None => x[entry].max(low as f32).min(high as f32),
            Some(cut) => no_farther(clean[entry], to_go(entry).after(cut), x[entry] > clean[entry]),
        })
        .collect()
}

/// By how much all changes have to be shortened for their sum to be at most `radius`; `None` if the box does.
///
/// The sum falls along straight lines that bend where an entry leaves its side of the box and where it reaches 0.
/// Bisection, which each time drops the entries without a bend in what is left, finds the line; the line the cut.
fn smallest_cut(mut moves: Vec<Move>, radius: f64) -> Option<f64> {
    let sum = |moves: &[Move], cut| moves.iter().map(|entry| entry.after(cut)).sum::<f64>();
    if sum(&moves, 0.) <= radius {
        return None;
    }
    let (mut low, mut high) = (0., moves.iter().map(|entry| entry.wanted).fold(0., f64::max));
    // Of entries without a bend: the sum of those at their side, the sum and number of those on their way.
    let (mut at_side, mut on_the_way, mut falling) = (0., 0., 0.);
    loop {
        moves.retain(|Move { wanted, room }| {
            if *wanted <= low {
                return false;
            }
            let leaves = wanted - room;
            if leaves >= high {
                at_side += room;
                return false;
            }
            let straight = leaves <= low && *wanted >= high;
            if straight {
                on_the_way += wanted;
                falling += 1.;
            }
            !straight
        });
        let middle = low + (high - low) / 2.;
        if moves.is_empty() || middle <= low || middle >= high {
            break;
        }
        let here = at_side + on_the_way - falling * middle + sum(&moves, middle);
        if here > radius { low = middle } else { high = middle }
    }
    Some(if falling > 0. { ((at_side + on_the_way - radius) / falling).clamp(low, high) } else { high })
}

/// The number `change` above or below `clean`; where that is none of f32, the next one towards `clean`, so that sums
/// of changes cannot grow.
fn no_farther(clean: f32, change: f64, above: bool) -> f32 {
    let origin = f64::from(clean);
    let value = (if above { origin + change } else { origin - change }) as f32;
    match (f64::from(value) - origin).abs() > change {
        true if above => value.next_down(),
        true => value.next_up(),
        false => value,
    }
}

fn values(x: &Tensor) -> Result<Vec<f32>> {
    x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

#[cfg(test)]
mod tests;
