//! SegCertify: what no attack can do, shown by noise.
//!
//! Every sample is the image with fresh normal noise; how often each pixel is foreground in the answers decides the
//! [certificate](crate::certify). It is not an attack, but it is asked for like one: by the same request, on the same
//! image, with the worst noisy copy as its adversarial image.

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::random::Draw;
use super::{Attack, AttackError, Norm, Problem, Tracker, steps};
use crate::certify::{Counts, MOST_TAU, Rule};
use crate::oracle::Oracle;

/// What the noisy copies are called in the records.
const SAMPLE: &str = "gaussian noise";

/// Which pixels keep their class under every small change of the image, for the model behind normal noise.
///
/// Fischer, Baader and Vechev 2021 (ICML), arXiv 2107.00228, with Holm's correction over all pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SegCertify {
    /// Standard deviation of the noise, as a share of full scale.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub sigma: f64,
    /// Samples that decide on the class of a pixel.
    #[schema(minimum = 1, maximum = 9999)]
    pub choose: usize,
    /// Samples that test it.
    #[schema(minimum = 1, maximum = 9999)]
    pub samples: usize,
    /// The probability that a class needs: the higher, the larger the radius.
    #[schema(minimum = 0.5, maximum = 0.97)]
    pub tau: f64,
    /// The probability that any pixel is certified wrongly.
    #[schema(exclusive_minimum = 0, exclusive_maximum = 1)]
    pub alpha: f64,
}

impl Default for SegCertify {
    fn default() -> Self {
        Self { sigma: 0.25, choose: 10, samples: 100, tau: 0.75, alpha: 0.001 }
    }
}

impl SegCertify {
    fn rule(&self) -> Rule {
        Rule { sigma: self.sigma, tau: self.tau, alpha: self.alpha }
    }

    /// The image with the noise of one sample, in the space of the attack. Values may leave the valid range: the proof
    /// is about noise that nothing cuts.
    fn sample(&self, problem: &Problem, sample: usize) -> Result<Tensor, AttackError> {
        let clean = problem.ball().clean();
        let mut stream = problem.random().stream(Draw { restart: 0, step: sample, purpose: "seg_certify" });
        let noise = (stream.fill(clean, |stream| stream.normal())? * self.sigma)?;
        Ok((clean + problem.scaled(&noise)?)?)
    }
}

impl Attack for SegCertify {
    fn check(&self) -> Result<(), AttackError> {
        if !(self.sigma > 0. && self.sigma <= 1.) {
            return Err(steps::refused("sigma", self.sigma, "use more than 0 and at most 1"));
        }
        if !(0.5..=MOST_TAU).contains(&self.tau) {
            return Err(steps::refused("tau", self.tau, "use 0.5 to 0.97"));
        }
        if !(self.alpha > 0. && self.alpha < 1.) {
            return Err(steps::refused("alpha", self.alpha, "use more than 0 and less than 1"));
        }
        steps::at_least_one("choose", self.choose, "use at least 1")?;
        let needed = self.rule().samples_needed(1);
        if self.samples < needed {
            let value = format!("{}, but even one pixel needs {needed}", self.samples);
            return Err(steps::refused("samples", value, "draw more, or take a larger alpha"));
        }
        Ok(())
    }

    /// It puts its own noise there.
    fn takes_defence(&self) -> bool {
        false
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn notes(&self, _problem: &Problem) -> Vec<String> {
        vec![
            "the certificate is about the model behind the noise and not about the model itself; the adversarial image is \
             the worst of the noisy copies"
                .into(),
        ]
    }

    fn points(&self) -> u64 {
        (self.choose as u64).saturating_add(self.samples as u64)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let image = &problem.setup().image;
        let size = (image.width(), image.height());
        let (pixels, needed) = (size.0 * size.1, self.rule().samples_needed(size.0 * size.1));
        if self.samples < needed {
            let value = format!("{}, but one of {pixels} pixels needs {needed}", self.samples);
            return Err(steps::refused("samples", value, "draw more, or take a larger alpha"));
        }
        let mut foreground = match log.resume() {
            Some([counts]) => counts,
            None => Tensor::zeros((2, pixels), DType::F32, &Device::Cpu)?,
        };
        for sample in log.step()..self.choose + self.samples {
            log.keep([&foreground]);
            let seen = log.try_out(SAMPLE, &self.sample(problem, sample)?, oracle)?.evaluation.mask;
            let (first, second) = (sample < self.choose, sample >= self.choose);
            let bits = [first, second].map(|counts| seen.bits().iter().map(move |inside| f32::from(counts && *inside)));
            foreground =
                (foreground + Tensor::from_iter(bits.into_iter().flatten(), &Device::Cpu)?.reshape((2, pixels))?)?;
        }
        log.keep([&foreground]);
        let counts = |row: usize, samples| -> Result<Counts, AttackError> {
            let foreground = foreground.get(row)?.to_vec1::<f32>()?;
            Ok(Counts { foreground: foreground.into_iter().map(|count| count as u64).collect(), samples })
        };
        log.certify(self.rule().certify(size, &counts(0, self.choose)?, &counts(1, self.samples)?)?);
        log.settle_tried(oracle)
    }
}
