//! Masks made from a mask: moved, grown or shrunk.
//!
//! Growing takes in the pixels nearest to the mask, shrinking gives up those nearest to what is outside, both by the
//! exact Euclidean distance. The level of distance is chosen so that the area is met exactly: of the pixels at the last
//! level, evenly spaced ones along the scan are taken, so that no side is preferred. A connected mask stays connected
//! when it grows.

use crate::imaging::Mask;
use crate::metric::squared_distance_transform;

/// The mask moved by `dx` columns and `dy` rows; what leaves the frame is lost, what comes in is background.
pub(super) fn shifted(mask: &Mask, dx: i32, dy: i32) -> Mask {
    let (width, height) = (mask.width(), mask.height());
    let source = |at: usize, by: i32, size: usize| {
        usize::try_from(at as i64 - i64::from(by)).ok().filter(|source| *source < size)
    };
    Mask::from_fn(width, height, |x, y| {
        source(x, dx, width).zip(source(y, dy, height)).is_some_and(|(x, y)| mask.get(x, y))
    })
}

/// The mask grown along its outline to `area` pixels; `None` if it is empty, larger already, or the frame is too small.
pub(super) fn grown(mask: &Mask, area: usize) -> Option<Mask> {
    let more = area.checked_sub(mask.area())?;
    let distances = squared_distance_transform(mask)?;
    let taken = nearest(&distances, more)?;
    let bits = mask.bits().iter().zip(taken).map(|(inside, taken)| *inside || taken).collect();
    Mask::new(mask.width(), mask.height(), bits).ok()
}

/// The mask shrunk along its outline to `area` pixels; `None` if it is smaller already, or has no outline since it fills
/// the frame. The frame's edge is no outline: a structure that is cut off there stays cut off.
pub(super) fn shrunk(mask: &Mask, area: usize) -> Option<Mask> {
    let less = mask.area().checked_sub(area)?;
    let outside = Mask::from_fn(mask.width(), mask.height(), |x, y| !mask.get(x, y));
    let distances = squared_distance_transform(&outside)?;
    let lost = nearest(&distances, less)?;
    let bits = mask.bits().iter().zip(lost).map(|(inside, lost)| *inside && !lost).collect();
    Mask::new(mask.width(), mask.height(), bits).ok()
}

/// The `count` pixels of the smallest distances above 0; `None` if there are fewer.
fn nearest(distances: &[u64], count: usize) -> Option<Vec<bool>> {
    let mut taken = vec![false; distances.len()];
    if count == 0 {
        return Some(taken);
    }
    let mut outside: Vec<u64> = distances.iter().copied().filter(|distance| *distance > 0).collect();
    if outside.len() < count {
        return None;
    }
    let level = *outside.select_nth_unstable(count - 1).1;
    let mut last = vec![];
    let mut rest = count;
    for (pixel, distance) in distances.iter().enumerate() {
        if *distance > 0 && *distance < level {
            taken[pixel] = true;
            rest -= 1;
        } else if *distance == level {
            last.push(pixel);
        }
    }
    for k in 0..rest {
        taken[last[k * last.len() / rest]] = true;
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::strategies::mask_pair;

    fn disc(side: usize, radius: f64) -> Mask {
        let middle = (side as f64 - 1.) / 2.;
        Mask::from_fn(side, side, |x, y| (x as f64 - middle).hypot(y as f64 - middle) <= radius)
    }

    /// Pixels that are reached from the first one by steps to the four neighbours.
    fn connected(mask: &Mask) -> usize {
        let (width, height) = (mask.width(), mask.height());
        let Some(first) = mask.bits().iter().position(|bit| *bit) else { return 0 };
        let (mut seen, mut open) = (vec![false; width * height], vec![first]);
        seen[first] = true;
        let mut count = 0;
        while let Some(pixel) = open.pop() {
            count += 1;
            let (x, y) = (pixel % width, pixel / width);
            let beside = [
                (x > 0).then(|| pixel - 1),
                (x + 1 < width).then(|| pixel + 1),
                (y > 0).then(|| pixel - width),
                (y + 1 < height).then(|| pixel + width),
            ];
            for next in beside.into_iter().flatten() {
                if mask.bits()[next] && !std::mem::replace(&mut seen[next], true) {
                    open.push(next);
                }
            }
        }
        count
    }

    #[test]
    fn a_disc_stays_a_disc() {
        let small = disc(61, 15.);
        for percent in [10, 44, 100] {
            let area = small.area() * (100 + percent) / 100;
            let large = grown(&small, area).unwrap();
            assert_eq!((large.area(), connected(&large)), (area, area));
            let radius = (area as f64 / std::f64::consts::PI).sqrt();
            let (inner, outer) = (disc(61, radius - 1.5), disc(61, radius + 1.5));
            let within =
                |one: &Mask, other: &Mask| one.bits().iter().zip(other.bits()).all(|(one, other)| !one || *other);
            assert!(within(&inner, &large) && within(&large, &outer));
        }
        let less = shrunk(&small, small.area() / 2).unwrap();
        assert_eq!((less.area(), connected(&less)), (small.area() / 2, small.area() / 2));
    }

    #[test]
    fn what_is_cut_off_by_the_frame_stays_cut_off() {
        let half = Mask::from_fn(20, 10, |x, _| x < 10);
        let less = shrunk(&half, 50).unwrap();
        assert_eq!(less, Mask::from_fn(20, 10, |x, _| x < 5));
        assert_eq!(grown(&half, 150).unwrap(), Mask::from_fn(20, 10, |x, _| x < 15));
    }

    #[test]
    fn what_cannot_be_is_none() {
        let (empty, full) = (Mask::from_fn(4, 3, |_, _| false), Mask::from_fn(4, 3, |_, _| true));
        assert!(grown(&empty, 3).is_none() && grown(&full, 13).is_none() && grown(&full, 3).is_none());
        assert!(shrunk(&full, 6).is_none() && shrunk(&empty, 1).is_none());
        assert_eq!(shifted(&full, 4, 0).area() + shifted(&full, 0, -3).area(), 0);
        assert_eq!(shifted(&full, i32::MIN, i32::MAX).area(), 0);
    }

    proptest! {
        #[test]
        fn areas_are_met_exactly_and_the_mask_is_kept((mask, _) in mask_pair(), share in 0f64..1.) {
            prop_assume!(mask.area() > 0);
            let free = mask.bits().len() - mask.area();
            let area = mask.area() + (free as f64 * share) as usize;
            let large = grown(&mask, area).unwrap();
            prop_assert_eq!(large.area(), area);
            prop_assert!(mask.bits().iter().zip(large.bits()).all(|(before, after)| !before || *after));
            let area = (mask.area() as f64 * share) as usize;
            match shrunk(&mask, area) {
                None => prop_assert_eq!(free, 0),
                Some(small) => {
                    prop_assert_eq!(small.area(), area);
                    prop_assert!(mask.bits().iter().zip(small.bits()).all(|(before, after)| *before || !after));
                }
            }
        }

        #[test]
        fn a_shift_there_and_back_loses_only_what_left_the_frame((mask, _) in mask_pair(), dx in -4i32..5, dy in -4i32..5) {
            let there = shifted(&mask, dx, dy);
            let back = shifted(&there, -dx, -dy);
            prop_assert_eq!(there.area(), back.area());
            prop_assert!(back.bits().iter().zip(mask.bits()).all(|(back, before)| !back || *before));
        }
    }
}
