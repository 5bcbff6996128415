//! Smooth random fields: value noise on a lattice, and sums of it at several scales.

use super::random::Draws;
use super::shape::Point;

const SIDE: usize = 64;

/// A smooth random function of the plane with values in [-1, 1] and features about 1 wide.
pub struct Noise(Vec<f32>);

impl Noise {
    /// Draws the lattice values.
    pub fn new(draws: &mut Draws) -> Self {
        Self((0..SIDE * SIDE).map(|_| draws.range(-1., 1.)).collect())
    }

    /// The value at `p`, cubically eased between lattice points; repeats after 64.
    pub fn at(&self, p: Point) -> f32 {
        let (i, j) = (p.x.floor(), p.y.floor());
        let ease = |t: f32| t * t * (3. - 2. * t);
        let (u, v) = (ease(p.x - i), ease(p.y - j));
        let wrap = |k: f32| (k as i64).rem_euclid(SIDE as i64) as usize;
        let (x0, y0) = (wrap(i), wrap(j));
        let (x1, y1) = ((x0 + 1) % SIDE, (y0 + 1) % SIDE);
        let row = |y: usize| self.0[y * SIDE + x0] * (1. - u) + self.0[y * SIDE + x1] * u;
        row(y0) * (1. - v) + row(y1) * v
    }

    /// Octaves of [`Self::at`], each twice as fine and half as strong, scaled back to [-1, 1].
    pub fn cloud(&self, p: Point, octaves: usize) -> f32 {
        let (mut sum, mut total, mut strength, mut q) = (0., 0., 1., p);
        for _ in 0..octaves {
            sum += strength * self.at(q);
            total += strength;
            strength *= 0.5;
            // The shift keeps the octaves' lattice points from falling together.
            q = q * 2.03 + Point { x: 17.3, y: 31.7 };
        }
        sum / total
    }

    /// 1 on a net of thin winding lines, 0 away from them; `width` is in units of the field's value.
    pub fn veins(&self, p: Point, width: f32) -> f32 {
        (1. - self.cloud(p, 3).abs() / width).max(0.)
    }
}
