//! Points, ramps and irregular closed curves.

use std::ops::{Add, Mul, Sub};

use super::random::Draws;

/// A place in the picture: the middle is the origin, the short side spans -1 to 1, y points down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

impl Point {
    /// Distance from the origin.
    pub fn length(self) -> f32 {
        (self.x * self.x + self.y * self.y).sqrt()
    }

    /// The scalar product.
    pub fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    /// A quarter turn.
    pub fn turned(self) -> Self {
        Self { x: -self.y, y: self.x }
    }
}

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { x: self.x + other.x, y: self.y + other.y }
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { x: self.x - other.x, y: self.y - other.y }
    }
}

impl Mul<f32> for Point {
    type Output = Self;
    fn mul(self, k: f32) -> Self {
        Self { x: self.x * k, y: self.y * k }
    }
}

/// 0 up to `low`, 1 from `high` on, smooth between. With `low > high` it falls instead of rising.
pub fn ramp(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0., 1.);
    t * t * (3. - 2. * t)
}

/// 1 at zero, falling smoothly to 0 at a distance of `radius`: a Gaussian with an end.
pub fn bump(distance: f32, radius: f32) -> f32 {
    let t = (1. - distance * distance / (radius * radius)).max(0.);
    t * t
}

/// `a` at 0, `b` at 1.
pub fn mix(a: [f32; 3], b: [f32; 3], t: f32) -> [f32; 3] {
    std::array::from_fn(|c| a[c] + (b[c] - a[c]) * t)
}

/// Every channel times its factor.
pub fn tint(colour: [f32; 3], factor: [f32; 3]) -> [f32; 3] {
    std::array::from_fn(|c| colour[c] * factor[c])
}

/// An ellipse whose radius wobbles with the angle.
#[derive(Debug, Clone)]
pub struct Blob {
    /// The middle.
    pub centre: Point,
    /// Half axes along `direction` and across it.
    pub axes: (f32, f32),
    /// Where the first axis points, a unit vector.
    pub direction: Point,
    /// Cosine and sine amplitudes of 2, 3, ... waves around, relative to the radius.
    waves: Vec<(f32, f32)>,
}

impl Blob {
    /// A plain ellipse.
    pub fn ellipse(centre: Point, axes: (f32, f32), direction: Point) -> Self {
        Self { centre, axes, direction, waves: Vec::new() }
    }

    /// The same with `count` waves around it, the first of relative amplitude `wobble`, later ones less.
    pub fn wobbling(self, draws: &mut Draws, count: usize, wobble: f32) -> Self {
        let wave = |k| (draws.range(-wobble, wobble) / (1. + k as f32), draws.range(-wobble, wobble) / (1. + k as f32));
        Self { waves: (0..count).map(wave).collect(), ..self }
    }

    /// Distance from the middle in units of the radius that way: below 1 inside, above 1 outside.
    pub fn level(&self, p: Point) -> f32 {
        let q = p - self.centre;
        let x = q.dot(self.direction) / self.axes.0;
        let y = q.dot(self.direction.turned()) / self.axes.1;
        let r = (x * x + y * y).sqrt();
        if r < 1e-6 {
            return 0.;
        }
        // cos and sin of k times the angle follow from those of the angle by the addition theorem.
        let (cos, sin) = (x / r, y / r);
        let (mut c, mut s) = (cos, sin);
        let mut radius = 1.;
        for (a, b) in &self.waves {
            (c, s) = (c * cos - s * sin, s * cos + c * sin);
            radius += a * c + b * s;
        }
        r / radius.max(0.3)
    }
}
