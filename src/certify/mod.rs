//! A certificate for a mask: which pixels keep their class under every small change of the image.
//!
//! The smoothed model answers with the class that a pixel has most often when normal noise is added to the image. If
//! that class has a probability above `tau`, it is the smoothed model's answer for every image within an L2 distance of
//! `sigma Phi^-1(tau)`: this is proven, and holds against every attack (Cohen, Rosenfeld and Kolter 2019, arXiv
//! 1902.02918). Probabilities are estimated from samples and tested for all pixels at once with Holm's correction;
//! pixels that fail the test are abstained from: SegCertify, Fischer, Baader and Vechev 2021, arXiv 2107.00228.

mod test;

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{DType, Device, Tensor};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::drawing::Draws;
use crate::engine::{CancelToken, Engine, Goal, Objective, RowSpec, Space};
use crate::evaluation::RunError;
use crate::imaging::{Image, Mask};
use crate::loss::Loss;
use crate::metric::{Confusion, MetricError};
use crate::model::{Conditioning, Resize, upsampled_mask};
use crate::oracle::Oracle;

pub use test::{holm, normal_quantile, tail_probabilities};

/// Probabilities for which [`normal_quantile`] is exact to nine digits.
const MOST_TAU: f64 = 0.97;

/// How to certify.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Certification {
    /// Standard deviation of the noise, as a share of full scale.
    pub sigma: f64,
    /// Samples that decide on the class.
    pub choose: usize,
    /// Samples that test it.
    pub test: usize,
    /// The probability that a class needs.
    pub tau: f64,
    /// The probability that any pixel is certified wrongly.
    pub alpha: f64,
    /// Seed of the noise.
    pub seed: u64,
}

/// What is certain of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// The smoothed model's mask. Says nothing where it is abstained from.
    pub mask: Mask,
    /// The pixels without a certificate.
    pub abstained: Mask,
    /// L2 distance, in units of full scale over all values of the image, up to which the others keep their class.
    pub radius: f64,
}

/// A parameter that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CertifyError {
    /// Out of range.
    #[error("{name} is {value}: {rule}")]
    Parameter { name: &'static str, value: String, rule: &'static str },
    /// Even a pixel that never changes its class would fail.
    #[error("{samples} samples cannot certify one of {pixels} pixels: use at least {needed}")]
    Samples { samples: usize, pixels: usize, needed: usize },
}

impl Certification {
    /// Checks the parameters, for an image of so many pixels.
    ///
    /// # Errors
    /// A parameter out of range, or too few samples for any certificate.
    pub fn check(&self, pixels: usize) -> Result<(), CertifyError> {
        let refuse = |name, value: String, rule| Err(CertifyError::Parameter { name, value, rule });
        if !(self.sigma > 0. && self.sigma <= 1.) {
            return refuse("sigma", self.sigma.to_string(), "use more than 0 and at most 1");
        }
        if !(self.tau >= 0.5 && self.tau <= MOST_TAU) {
            return refuse("tau", self.tau.to_string(), "use 0.5 to 0.97");
        }
        if !(self.alpha > 0. && self.alpha < 1.) {
            return refuse("alpha", self.alpha.to_string(), "use more than 0 and less than 1");
        }
        if self.choose == 0 {
            return refuse("choose", self.choose.to_string(), "use at least 1");
        }
        // The most extreme count has probability tau^n under the hypothesis, and the first pixel is tested at alpha /
        // pixels.
        let needed = ((self.alpha / pixels as f64).ln() / self.tau.ln()).ceil() as usize;
        if self.test < needed {
            return Err(CertifyError::Samples { samples: self.test, pixels, needed });
        }
        Ok(())
    }

    /// The distance up to which certified pixels keep their class.
    pub fn radius(&self) -> f64 {
        self.sigma * normal_quantile(self.tau)
    }

    /// Certifies an image, with `workers` samples at once; `done` is called after each sample, from any thread. The
    /// number of workers changes nothing but the time.
    ///
    /// # Errors
    /// A failing model. The parameters should have been checked.
    pub fn run(
        &self,
        engine: &Engine,
        (image, prompt): (&Image, &str),
        workers: usize,
        done: &(dyn Fn() + Sync),
    ) -> Result<Certificate, RunError> {
        let sampling = Sampling { engine, image, conditioning: engine.prepare(prompt)?, of: *self, done };
        let chosen = sampling.count(0..self.choose, workers)?;
        let mask = Mask::new(
            image.width(),
            image.height(),
            chosen.iter().map(|count| 2 * *count > self.choose as u64).collect(),
        )?;
        let foreground = sampling.count(self.choose..self.choose + self.test, workers)?;
        let total = self.test as u64;
        let agreeing = |(count, inside): (&u64, &bool)| if *inside { *count } else { total - *count };
        let counts: Vec<u64> = foreground.iter().zip(mask.bits()).map(agreeing).collect();
        let certified = holm(&counts, &tail_probabilities(self.test, self.tau), self.alpha);
        let abstained = Mask::new(image.width(), image.height(), certified.iter().map(|certain| !certain).collect())?;
        Ok(Certificate { mask, abstained, radius: self.radius() })
    }
}

/// Noisy copies of one image, each with a number.
struct Sampling<'a> {
    engine: &'a Engine,
    image: &'a Image,
    conditioning: Conditioning,
    of: Certification,
    done: &'a (dyn Fn() + Sync),
}

impl Sampling<'_> {
    /// In how many of these samples each pixel is foreground.
    fn count(&self, samples: std::ops::Range<usize>, workers: usize) -> Result<Vec<u64>, RunError> {
        let next = AtomicU64::new(samples.start as u64);
        let work = || -> Result<Vec<u64>, RunError> {
            let mut counts = vec![0; self.image.width() * self.image.height()];
            loop {
                let sample = next.fetch_add(1, Ordering::Relaxed);
                if sample >= samples.end as u64 {
                    return Ok(counts);
                }
                let mask = self.segment(sample)?;
                counts.iter_mut().zip(mask.bits()).for_each(|(count, inside)| *count += u64::from(*inside));
                (self.done)();
            }
        };
        let parts: Vec<Result<Vec<u64>, RunError>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a worker returns its errors")).collect()
        });
        let mut sum = vec![0; self.image.width() * self.image.height()];
        for part in parts {
            sum.iter_mut().zip(part?).for_each(|(sum, count)| *sum += count);
        }
        Ok(sum)
    }

    /// The mask of one noisy copy, at the image's own size.
    fn segment(&self, sample: u64) -> Result<Mask, RunError> {
        let (engine, image) = (self.engine, self.image);
        let mut hash = Sha256::new();
        hash.update(self.of.seed.to_le_bytes());
        hash.update(b"certify");
        hash.update(image.rgb());
        hash.update(sample.to_le_bytes());
        let mut draws = Draws::from_key(hash.finalize().into());
        let x = image.to_tensor(&Device::Cpu)?;
        let sigma = self.of.sigma as f32;
        let noise: Vec<f32> = (0..x.elem_count()).map(|_| sigma * draws.gaussian()).collect();
        let noisy = (&x + Tensor::from_vec(noise, x.shape(), &Device::Cpu)?)?.to_device(engine.device())?;
        let target = Tensor::zeros((engine.input().height, engine.input().width), DType::F32, engine.device())?;
        let mut row = engine.open(RowSpec {
            conditioning: self.conditioning.clone(),
            objective: Objective { loss: Loss::Bce, target, goal: Goal::Untargeted, counted: None },
            space: Space::Pixels,
            cancel: CancelToken::default(),
        })?;
        let logits = row.logits(&noisy)?;
        let upsampling = Resize::new(logits.dims2()?, (image.height(), image.width()), &Device::Cpu)?;
        Ok(upsampled_mask(&upsampling, &logits)?)
    }
}

impl Certificate {
    /// Share of the pixels without a certificate.
    pub fn abstained_share(&self) -> f64 {
        self.abstained.area() as f64 / self.abstained.bits().len() as f64
    }

    /// The worst that the certified pixels leave possible: every other pixel counts as wrong.
    ///
    /// # Errors
    /// A reference of another size.
    pub fn against(&self, reference: &Mask) -> Result<Confusion, MetricError> {
        // As far as it was proven, a pixel has the class of the mask; otherwise it has the wrong one.
        let worst = Mask::from_fn(self.mask.width(), self.mask.height(), |x, y| match self.abstained.get(x, y) {
            true => (x < reference.width() && y < reference.height()) && !reference.get(x, y),
            false => self.mask.get(x, y),
        });
        Confusion::between(&worst, reference)
    }
}
