//! The walk that MI-, NI-, DI- and TI-FGSM share: steps along a running sum of gradients.
//!
//! `g <- mu g + gradient / mean |gradient|`, then `x <- P(x + alpha sign g)`, or along `g` itself for L2. The mean is
//! taken over the entries that may change. Dong et al. 2018 divide by the sum instead, which changes nothing here,
//! where only the direction of `g` counts; Lin et al. 2020 step by `g` itself and mean the mean.

use candle_core::{DType, Tensor};

use super::harness::projection::Ball;
use super::{AttackError, Epsilon, Problem, Tracker, steps};
use crate::oracle::Oracle;

/// Below this a mean counts as zero.
const SMALLEST_MEAN: f64 = 1e-30;

/// Steps with momentum.
pub(super) struct Walk {
    /// Number of steps.
    pub steps: usize,
    /// Length of a step; `epsilon / steps` if `None`.
    pub alpha: Option<Epsilon>,
    /// What is left of the sum after a step, `mu`.
    pub decay: f64,
}

/// Where a walk is.
pub(super) struct Place<'a> {
    /// The step, from 0.
    pub step: usize,
    /// The point `x`.
    pub x: &'a Tensor,
    /// The running sum `g`.
    pub g: &'a Tensor,
}

impl Walk {
    /// Checks the parameters by themselves.
    ///
    /// # Errors
    /// [`AttackError::Parameter`].
    pub fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("steps", self.steps, "take at least one step")?;
        steps::share("decay", self.decay, "use 0 (no momentum) to 1 (all gradients count alike)")
    }

    /// The length of a step in the space the attack works in.
    pub fn alpha(&self, problem: &Problem) -> f64 {
        steps::length(self.alpha, 1. / self.steps as f64, problem)
    }

    /// What the reader of a result should know.
    pub fn notes(&self, problem: &Problem) -> Vec<String> {
        steps::unused_budget(self.steps, self.alpha(problem), problem)
    }

    /// Walks from the clean image. `look` asks the oracle at or near a place, records what it asked about, and
    /// answers the gradient to add.
    ///
    /// # Errors
    /// Those of `look` and of the oracle.
    pub fn run(
        &self,
        problem: &Problem,
        oracle: &mut dyn Oracle,
        log: &mut Tracker,
        look: impl Fn(Place, &mut dyn Oracle, &mut Tracker) -> Result<Tensor, AttackError>,
    ) -> Result<(), AttackError> {
        let (ball, alpha) = (problem.ball(), self.alpha(problem));
        let [mut x, mut g] = match log.resume() {
            Some(state) => state,
            None => [ball.clean().clone(), ball.clean().zeros_like()?],
        };
        for step in log.step()..self.steps {
            log.keep([&x, &g]);
            let gradient = look(Place { step, x: &x, g: &g }, oracle, log)?;
            g = ((g * self.decay)? + unit_mean(ball, gradient)?)?;
            x = ball.advance(&x, &g, alpha)?;
        }
        log.keep([&x, &g]);
        log.finish(&x, oracle)
    }
}

/// `gradient` inside the region, over the mean of its magnitudes there.
pub(super) fn unit_mean(ball: &Ball, gradient: Tensor) -> candle_core::Result<Tensor> {
    let gradient = ball.allowed(gradient.detach())?;
    let sum = gradient.abs()?.to_dtype(DType::F64)?.sum_all()?;
    let mean = (sum / ball.entries())?.maximum(SMALLEST_MEAN)?;
    gradient.broadcast_div(&mean.to_dtype(gradient.dtype())?)
}
