//! One run of APGD inside one ball.

use candle_core::{Device, Result, Tensor};

use super::schedule::Schedule;
use crate::attack::harness::projection::Ball;

/// Weight of the new step; the rest repeats the step before.
const NEW: f64 = 0.75;

/// Where a run is.
#[derive(Debug, Clone)]
pub(super) struct Climb {
    /// Which ball it is in.
    pub(super) phase: usize,
    /// Steps done in this ball.
    pub(super) done: usize,
    /// The point to ask about.
    pub(super) x: Tensor,
    /// The point before the last step.
    before: Tensor,
    /// The best point so far and the gradient there.
    best: Tensor,
    gradient_at_best: Tensor,
    schedule: Schedule,
}

impl Climb {
    /// A run that begins at `x`.
    pub(super) fn begin(phase: usize, x: Tensor) -> Self {
        // All but `x` is set by the first answer.
        let [before, best, gradient_at_best] = [x.clone(), x.clone(), x.clone()];
        Self { phase, done: 0, x, before, best, gradient_at_best, schedule: Schedule::new(1, 0., 0.) }
    }

    /// The best point so far.
    pub(super) fn best(&self) -> &Tensor {
        &self.best
    }

    /// Takes the answer at `x` into account, for a run of `steps` steps of which the first is twice the `radius`.
    /// Goes back to the best point if the schedule says so. Answers the gradient to follow.
    pub(super) fn judge(&mut self, gradient: Tensor, tracked: f64, (steps, radius): (usize, f64)) -> Tensor {
        if self.done == 0 {
            self.schedule = Schedule::new(steps, 2. * radius, tracked);
            (self.best, self.gradient_at_best) = (self.x.clone(), gradient.clone());
            return gradient;
        }
        let verdict = self.schedule.observe(tracked, steps);
        if verdict.best {
            (self.best, self.gradient_at_best) = (self.x.clone(), gradient.clone());
        }
        if verdict.back {
            self.x = self.best.clone();
            return self.gradient_at_best.clone();
        }
        gradient
    }

    /// `u = P(x + eta sign g)`, then `x <- P(x + 3/4 (u - x) + 1/4 (x - before))`; the first step goes to `u` itself.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn step(&mut self, gradient: &Tensor, ball: &Ball) -> Result<()> {
        let new = if self.done == 0 { 1. } else { NEW };
        let u = ball.advance(&self.x, gradient, self.schedule.length)?;
        let ahead = ((u - &self.x)? * new)?;
        let again = ((&self.x - &self.before)? * (1. - new))?;
        let next = ball.project(&((&self.x + ahead)? + again)?)?;
        self.before = std::mem::replace(&mut self.x, next);
        self.done += 1;
        Ok(())
    }

    /// All that a checkpoint has to keep.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn to_state(&self) -> Result<[Tensor; 6]> {
        let counts = Tensor::new(&[self.phase as f64, self.done as f64], &Device::Cpu)?;
        let [x, before, best, gradient] =
            [&self.x, &self.before, &self.best, &self.gradient_at_best].map(Tensor::clone);
        Ok([x, before, best, gradient, self.schedule.to_tensor()?, counts])
    }

    /// What [`Self::to_state`] made.
    ///
    /// # Errors
    /// A state that is none.
    pub(super) fn from_state([x, before, best, gradient_at_best, schedule, counts]: [Tensor; 6]) -> Result<Self> {
        let schedule = Schedule::from_tensor(&schedule)?;
        let &[phase, done] = counts.to_vec1::<f64>()?.as_slice() else {
            candle_core::bail!("a run has two counts, found {:?}", counts.dims());
        };
        Ok(Self { phase: phase as usize, done: done as usize, x, before, best, gradient_at_best, schedule })
    }
}
