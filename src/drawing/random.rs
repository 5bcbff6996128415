//! Random numbers that are a function of a key and nothing else.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::shape::Point;

/// Draws from ChaCha8, a counter-based generator: the same key gives the same numbers everywhere.
///
/// All but [`Self::gaussian`] use only additions, multiplications, divisions and square roots. IEEE 754 fixes their
/// results, so what is drawn with them is the same on every machine; `sin`, `exp` and their like are not fixed.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The draws of a key.
    pub fn from_key(key: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(key))
    }

    /// Uniform in `[0, 1)`.
    pub fn unit(&mut self) -> f32 {
        // 24 bits fill an f32's mantissa exactly.
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// Uniform in `[low, high)`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `low..=high`.
    pub fn count(&mut self, low: usize, high: usize) -> usize {
        low + ((high - low + 1) as f32 * self.unit()) as usize
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// Mean 0, variance 1, nearly normal: four uniforms summed.
    pub fn normal(&mut self) -> f32 {
        let sum = self.unit() + self.unit() + self.unit() + self.unit();
        (sum - 2.) * 1.732_050_8
    }

    /// Standard normal, by Box and Muller; its last bits are those of the machine's `ln` and `cos`.
    pub fn gaussian(&mut self) -> f32 {
        let radius = (-2. * (1. - self.unit()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.unit()).cos()
    }

    /// A direction: a point of the unit circle, uniform in angle.
    pub fn direction(&mut self) -> Point {
        loop {
            let p = Point { x: self.range(-1., 1.), y: self.range(-1., 1.) };
            let length = p.length();
            if (0.1..=1.).contains(&length) {
                return p * (1. / length);
            }
        }
    }

    /// A colour between those of `palette`: two neighbours mixed at random.
    pub fn colour(&mut self, palette: &[[f32; 3]]) -> [f32; 3] {
        let at = self.unit() * (palette.len() - 1) as f32;
        let first = at as usize;
        super::shape::mix(palette[first], palette[first + 1], at - first as f32)
    }
}
