//! Exact Euclidean distance transform of a mask, in time linear in the number of pixels.
//!
//! Meijster, Roerdink & Hesselink, "A general algorithm for computing distance transforms in linear
//! time" (2000). The squared distance separates: distances along the columns come first; then, in each
//! row, the answer at `x` is the lowest of the parabolas `(x - i)^2 + column_distance(i)^2`, and
//! the lower envelope of those parabolas is found in one sweep. All in integers, so nothing rounds.

use crate::imaging::Mask;

/// For each pixel, row-major, the squared distance in pixels to the nearest pixel of the mask (0 on
/// the mask itself); `None` if the mask is empty and there is nothing to be near to.
pub fn squared_distance_transform(mask: &Mask) -> Option<Vec<u64>> {
    if mask.area() == 0 {
        return None;
    }
    let mut distances = column_distances(mask);
    let mut envelope = Envelope::default();
    for row in distances.chunks_exact_mut(mask.width()) {
        envelope.fit(row);
        envelope.write_heights(row);
    }
    Some(distances)
}

/// Distance along the column to the nearest pixel of the mask. A column without one gets
/// width + height, which is farther than any two pixels are apart.
fn column_distances(mask: &Mask) -> Vec<u64> {
    let (width, height) = (mask.width(), mask.height());
    let far = (width + height) as u64;
    let mut distances: Vec<u64> = mask.bits().iter().map(|inside| if *inside { 0 } else { far }).collect();
    let mut relax = |from: usize, to: usize| {
        for x in 0..width {
            let beside = distances[from * width + x] + 1;
            let here = &mut distances[to * width + x];
            *here = beside.min(*here);
        }
    };
    for y in 1..height {
        relax(y - 1, y);
    }
    for y in (1..height).rev() {
        relax(y, y - 1);
    }
    distances
}

/// The lower envelope of the parabolas of a row: each is lowest from its `start` to the next one's.
#[derive(Default)]
struct Envelope {
    parabolas: Vec<Parabola>,
}

struct Parabola {
    start: i64,
    centre: i64,
    base: i64,
}

impl Parabola {
    fn height(&self, x: i64) -> i64 {
        (x - self.centre).pow(2) + self.base
    }

    /// The first whole `x` at which `later`, centred further right, is strictly lower than `self`.
    fn overtaken_by(&self, later: &Self) -> i64 {
        let numerator = later.centre.pow(2) - self.centre.pow(2) + later.base - self.base;
        1 + numerator.div_euclid(2 * (later.centre - self.centre))
    }
}

impl Envelope {
    fn fit(&mut self, column_distances: &[u64]) {
        self.parabolas.clear();
        let end = column_distances.len() as i64;
        for (centre, distance) in column_distances.iter().enumerate() {
            let mut new = Parabola { start: 0, centre: centre as i64, base: (*distance as i64).pow(2) };
            while self.parabolas.last().is_some_and(|last| last.height(last.start) > new.height(last.start)) {
                self.parabolas.pop();
            }
            if let Some(last) = self.parabolas.last() {
                new.start = last.overtaken_by(&new);
            }
            if new.start < end {
                self.parabolas.push(new);
            }
        }
    }

    fn write_heights(&self, row: &mut [u64]) {
        for (index, parabola) in self.parabolas.iter().enumerate() {
            let end = self.parabolas.get(index + 1).map_or(row.len() as i64, |next| next.start);
            for x in parabola.start..end {
                row[x as usize] = parabola.height(x) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::strategies::mask_pair;

    fn brute_force(mask: &Mask) -> Vec<u64> {
        let pixels = || (0..mask.height()).flat_map(|y| (0..mask.width()).map(move |x| (x, y)));
        let set: Vec<_> = pixels().filter(|(x, y)| mask.get(*x, *y)).collect();
        let squared = |(x, y): (usize, usize), (u, v): (usize, usize)| {
            (x.abs_diff(u) * x.abs_diff(u) + y.abs_diff(v) * y.abs_diff(v)) as u64
        };
        pixels().map(|at| set.iter().map(|to| squared(at, *to)).min().unwrap()).collect()
    }

    #[test]
    fn an_empty_mask_has_no_distances() {
        assert_eq!(squared_distance_transform(&Mask::from_fn(3, 2, |_, _| false)), None);
    }

    #[test]
    fn a_far_corner_is_reached_exactly() {
        let distances = squared_distance_transform(&Mask::from_fn(3001, 40, |x, y| x == 0 && y == 0)).unwrap();
        assert_eq!(distances.last(), Some(&(3000 * 3000 + 39 * 39)));
    }

    proptest! {
        #[test]
        fn equals_brute_force((mask, _) in mask_pair()) {
            prop_assume!(mask.area() > 0);
            prop_assert_eq!(squared_distance_transform(&mask), Some(brute_force(&mask)));
        }
    }
}
