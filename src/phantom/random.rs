//! Random numbers that are a function of (kind, seed) and nothing else.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::shape::Point;

/// Draws from ChaCha8, a counter-based generator: the same key gives the same numbers everywhere.
///
/// Only additions, multiplications, divisions and square roots are used here and in the rest of
/// the module. IEEE 754 fixes their results, so a phantom is the same on every machine; `sin`, `exp`
/// and their like are not fixed and are avoided.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// The draws of phantom number `seed` of the kind numbered `kind`.
    pub fn new(kind: u8, seed: u64) -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(b"segprobe phantom");
        key[16] = kind;
        key[24..].copy_from_slice(&seed.to_le_bytes());
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
