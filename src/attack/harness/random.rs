//! Random numbers that depend on the request alone.
//!
//! Each draw has its own stream, seeded from a hash of (seed, image, restart, step, purpose). Which
//! images share a batch, which thread runs or what was drawn before changes nothing: the same
//! request gives the same bytes.

use candle_core::{Result, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::budget::Norm;
use super::projection::Ball;
use crate::imaging::Image;

/// Where in an attack numbers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// The restart, from 0.
    pub restart: usize,
    /// The step within the restart, from 0.
    pub step: usize,
    /// What the numbers are for, such as `start`; two purposes never share numbers.
    pub purpose: &'static str,
}

/// The streams of one image under one seed.
#[derive(Debug, Clone)]
pub struct RandomSource {
    seed: u64,
    image: [u8; 32],
}

impl RandomSource {
    /// The streams of `image` under `seed`.
    pub fn new(seed: u64, image: &Image) -> Self {
        let mut hash = Sha256::new();
        hash.update((image.width() as u64).to_le_bytes());
        hash.update((image.height() as u64).to_le_bytes());
        hash.update(image.rgb());
        Self { seed, image: hash.finalize().into() }
    }

    /// The stream of one draw, always from its beginning.
    pub fn stream(&self, draw: Draw) -> Stream {
        Stream(ChaCha8Rng::from_seed(self.key(draw)))
    }

    /// The key of that stream, for those who draw otherwise.
    pub fn key(&self, draw: Draw) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(self.image);
        hash.update((draw.restart as u64).to_le_bytes());
        hash.update((draw.step as u64).to_le_bytes());
        hash.update(draw.purpose.as_bytes());
        hash.finalize().into()
    }

    /// A point of `ball`: uniform in the cube for Linf, uniform in the ball for L2, and then brought
    /// into the valid range and the region; for L1 the one nearest to normal noise of full scale.
    ///
    /// # Errors
    /// A device that failed.
    pub fn start(&self, ball: &Ball, restart: usize) -> Result<Tensor> {
        self.stream(Draw { restart, step: 0, purpose: "start" }).within(ball)
    }
}

/// One stream of random numbers.
#[derive(Debug, Clone)]
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// A stream that belongs to no image: that of a seed, a purpose and a count.
    pub fn of(seed: u64, purpose: &str, count: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(seed.to_le_bytes());
        hash.update(count.to_le_bytes());
        hash.update(purpose.as_bytes());
        Self(ChaCha8Rng::from_seed(hash.finalize().into()))
    }

    /// The numbers below `n` in a random order (Fisher and Yates).
    pub fn order(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for last in (1..n).rev() {
            // A draw of 24 bits, so `last` below 2^24 is met evenly enough.
            let other = (self.uniform() * (last + 1) as f64) as usize;
            order.swap(last, other);
        }
        order
    }

    /// Uniform in [0, 1), a multiple of 2^-24.
    pub fn uniform(&mut self) -> f64 {
        f64::from(self.0.next_u32() >> 8) / f64::from(1 << 24)
    }

    /// Standard normal, by Box and Muller.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2. * (1. - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// A point of `ball`, as [`RandomSource::start`] has it.
    ///
    /// # Errors
    /// A device that failed.
    pub fn within(&mut self, ball: &Ball) -> Result<Tensor> {
        let clean = ball.clean();
        let noise = match ball.norm() {
            Norm::Linf => (self.fill(clean, |s| 2. * s.uniform() - 1.)? * ball.radius())?,
            Norm::L2 => {
                let outwards = ball.direction(&self.fill(clean, Self::normal)?)?;
                // Volume grows with the n-th power of the radius, n being the entries that may change.
                let depth = self.uniform().powf(1. / ball.entries().max(1.));
                (outwards * (ball.radius() * depth))?
            }
            // As Croce and Hein 2021 start. A uniform point changes every entry by next to nothing.
            Norm::L1 => self.fill(clean, Self::normal)?,
        };
        ball.project(&(clean + noise)?)
    }

    /// A tensor in the shape and on the device of `like`, filled row-major with `draw`.
    ///
    /// # Errors
    /// A device that failed.
    pub fn fill(&mut self, like: &Tensor, mut draw: impl FnMut(&mut Self) -> f64) -> Result<Tensor> {
        let values: Vec<f32> = (0..like.elem_count()).map(|_| draw(self) as f32).collect();
        Tensor::from_vec(values, like.shape(), like.device())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn grey(level: u8) -> Image {
        Image::new(16, 16, vec![level; 16 * 16 * 3]).unwrap()
    }

    fn first(seed: u64, image: &Image, draw: Draw) -> u32 {
        RandomSource::new(seed, image).stream(draw).0.next_u32()
    }

    #[test]
    fn every_part_of_the_address_matters_and_nothing_else() {
        let draw = Draw { restart: 0, step: 0, purpose: "start" };
        let here = first(7, &grey(1), draw);
        assert_eq!(here, first(7, &grey(1), draw));
        assert_ne!(here, first(8, &grey(1), draw));
        assert_ne!(here, first(7, &grey(2), draw));
        assert_ne!(here, first(7, &grey(1), Draw { restart: 1, ..draw }));
        assert_ne!(here, first(7, &grey(1), Draw { step: 1, ..draw }));
        assert_ne!(here, first(7, &grey(1), Draw { purpose: "noise", ..draw }));
    }

    #[test]
    fn linf_starts_fill_the_cube_evenly() {
        let image = grey(128);
        let clean = image.to_tensor(&Device::Cpu).unwrap();
        let ball = Ball::new(&clean, (Norm::Linf, 0.1), None, Some((0., 1.))).unwrap();
        let start = RandomSource::new(3, &image).start(&ball, 0).unwrap();
        let delta = ((start - clean).unwrap() / 0.1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(delta.iter().all(|d| d.abs() <= 1. + 1e-5));
        let mean = delta.iter().sum::<f32>() / delta.len() as f32;
        let variance = delta.iter().map(|d| d * d).sum::<f32>() / delta.len() as f32;
        assert!(mean.abs() < 0.06 && (variance - 1. / 3.).abs() < 0.04, "mean {mean}, variance {variance}");
    }

    #[test]
    fn l2_starts_lie_where_the_volume_is() {
        let image = grey(128);
        let clean = image.to_tensor(&Device::Cpu).unwrap();
        let ball = Ball::new(&clean, (Norm::L2, 2.), None, Some((0., 1.))).unwrap();
        let source = RandomSource::new(3, &image);
        let distance = |restart| {
            let start = source.start(&ball, restart).unwrap();
            ball.distance(&start).unwrap().to_scalar::<f64>().unwrap()
        };
        // With 768 entries all but one in 1e10 points lie beyond 0.97 of the radius.
        assert!((0..5).all(|restart| (1.94..=2. + 1e-6).contains(&distance(restart))));
        assert_ne!(distance(0), distance(1));
    }

    #[test]
    fn l1_starts_are_sparse_and_use_the_whole_budget() {
        let image = grey(128);
        let clean = image.to_tensor(&Device::Cpu).unwrap();
        let ball = Ball::new(&clean, (Norm::L1, 3.), None, Some((0., 1.))).unwrap();
        let source = RandomSource::new(3, &image);
        let start = source.start(&ball, 0).unwrap();
        let distance = ball.distance(&start).unwrap().to_scalar::<f64>().unwrap();
        assert!((3. - 1e-4..=3.).contains(&distance), "{distance}");
        let changed = ball.changed(&start).unwrap();
        assert!((4. ..77.).contains(&changed), "{changed} of 768 entries");
        assert_ne!(ball.changed(&source.start(&ball, 1).unwrap()).unwrap(), changed);
    }
}
