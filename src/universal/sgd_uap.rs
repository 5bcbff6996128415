//! SGD-UAP: minibatches, and a step along the sign of the running mean gradient.

use candle_core::Tensor;
use serde::Serialize;

use super::example::{Example, Slope, at_once};
use super::pass::{Pass, Tally};
use super::{Within, refused};
use crate::attack::{AttackError, Epsilon};
use crate::oracle::Measure;

/// The first step as a share of epsilon.
const DEFAULT_SHARE: f64 = 0.25;

/// `v <- P(v + alpha sign m)` after each minibatch, `m <- momentum m + g / mean |g|`, where `g` is the gradient of the
/// minibatch's mean objective, each image's cut off at `cap`. `alpha` falls linearly to nothing over the run.
///
/// Shafahi et al. 2020, arXiv 1811.11304, section 3 (their `min(L, beta)` is `cap`); momentum and the falling step are
/// ours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SgdUap {
    /// Passes over the images.
    pub epochs: usize,
    /// Images of a minibatch.
    pub batch: usize,
    /// Length of the first step; a quarter of epsilon if `None`.
    pub alpha: Option<Epsilon>,
    /// What is left of the running gradient after a step.
    pub momentum: f64,
    /// An image whose objective is at least this pulls no more; none is left out if `None`.
    pub cap: Option<f32>,
}

impl Default for SgdUap {
    fn default() -> Self {
        Self { epochs: 20, batch: 8, alpha: None, momentum: 0.9, cap: None }
    }
}

impl SgdUap {
    pub(super) fn train(
        &self,
        examples: &mut [Example],
        within: &Within,
        done: &mut dyn FnMut(&Pass),
    ) -> Result<Tensor, AttackError> {
        self.check()?;
        let alpha = within.length(self.alpha, DEFAULT_SHARE);
        let batches = examples.len().div_ceil(self.batch);
        let steps = self.epochs * batches;
        let (mut v, mut m) = (within.zero().clone(), within.zero().clone());
        for epoch in 0..self.epochs {
            let mut tally = Tally::default();
            for (at, batch) in within.order(epoch, examples.len()).chunks(self.batch).enumerate() {
                let step = epoch * batches + at;
                let measure = Measure::after(step, steps);
                let slopes = at_once(examples, batch, |example| example.slope(&v, &measure))?;
                m = ((m * self.momentum)? + within.unit_mean(&self.mean_gradient(&slopes, within)?)?)?;
                v = within.advance(&v, &m, alpha * (1. - step as f64 / steps as f64))?;
                slopes.iter().for_each(|slope| tally.add(slope.loss, slope.dsc, slope.broken));
            }
            done(&tally.pass(epoch + 1));
        }
        Ok(v)
    }

    /// The gradient of the mean of `min(L, cap)`.
    fn mean_gradient(&self, slopes: &[Slope], within: &Within) -> candle_core::Result<Tensor> {
        let pulls = |slope: &&Slope| self.cap.is_none_or(|cap| slope.loss < cap);
        let sum = slopes.iter().filter(pulls).try_fold(within.zero().clone(), |sum, slope| sum + &slope.gradient)?;
        sum / slopes.len() as f64
    }

    fn check(&self) -> Result<(), AttackError> {
        if self.epochs == 0 {
            return Err(refused("epochs", 0, "go through the images at least once"));
        }
        if self.batch == 0 {
            return Err(refused("batch", 0, "use at least one image"));
        }
        if !(0. ..1.).contains(&self.momentum) {
            return Err(refused("momentum", self.momentum, "use 0 (none) to less than 1"));
        }
        Ok(())
    }
}
