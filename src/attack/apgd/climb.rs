//! One run of APGD inside one ball.

use candle_core::{Device, Result, Tensor};

use super::schedule::{Schedule, Verdict};
use super::sparse::Sparse;
use crate::attack::Norm;
use crate::attack::harness::projection::Ball;

/// Weight of the new step; the rest repeats the step before.
const NEW: f64 = 0.75;

/// How long a step is, and where it leads.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Along the whole gradient, with momentum.
    Momentum(Schedule),
    /// Along its largest entries: L1.
    Sparse(Sparse),
}

impl Rule {
    fn to_tensor(self) -> Result<Tensor> {
        match self {
            Self::Momentum(schedule) => schedule.to_tensor(),
            Self::Sparse(sparse) => sparse.to_tensor(),
        }
    }

    /// What [`Self::to_tensor`] made; the two differ in how many numbers they have.
    fn from_tensor(numbers: &Tensor) -> Result<Self> {
        if numbers.dims() == [Sparse::NUMBERS] {
            Sparse::from_tensor(numbers).map(Self::Sparse)
        } else {
            Schedule::from_tensor(numbers).map(Self::Momentum)
        }
    }
}

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
    rule: Rule,
}

impl Climb {
    /// A run that begins at `x`.
    pub(super) fn begin(phase: usize, x: Tensor) -> Self {
        // All but `x` is set by the first answer.
        let [before, best, gradient_at_best] = [x.clone(), x.clone(), x.clone()];
        Self { phase, done: 0, x, before, best, gradient_at_best, rule: Rule::Momentum(Schedule::new(1, 0., 0.)) }
    }

    /// The best point so far.
    pub(super) fn best(&self) -> &Tensor {
        &self.best
    }

    /// Takes the answer at `x` into account, for a run of `steps` steps in `ball`. Goes back to the best point if the
    /// rule says so. Answers the gradient to follow.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn judge(&mut self, gradient: Tensor, tracked: f64, (steps, ball): (usize, &Ball)) -> Result<Tensor> {
        if self.done == 0 {
            self.rule = self.first_rule(tracked, (steps, ball))?;
            (self.best, self.gradient_at_best) = (self.x.clone(), gradient.clone());
            return Ok(gradient);
        }
        let Verdict { best, back } = match &mut self.rule {
            Rule::Momentum(schedule) => schedule.observe(tracked, steps),
            Rule::Sparse(sparse) => {
                let changed = |new| ball.changed(if new { &self.x } else { &self.best });
                sparse.observe(tracked, steps, changed)?
            }
        };
        if best {
            (self.best, self.gradient_at_best) = (self.x.clone(), gradient.clone());
        }
        if back {
            self.x = self.best.clone();
            return Ok(self.gradient_at_best.clone());
        }
        Ok(gradient)
    }

    /// The rule at the start of a ball: the first step is as long as the ball is wide, and half as long in L1.
    fn first_rule(&self, tracked: f64, (steps, ball): (usize, &Ball)) -> Result<Rule> {
        if ball.norm() != Norm::L1 {
            return Ok(Rule::Momentum(Schedule::new(steps, 2. * ball.radius(), tracked)));
        }
        // A point from a larger ball says how many entries matter; the first start does not.
        let changed = if self.phase > 0 { Some(ball.changed(&self.x)?) } else { None };
        Ok(Rule::Sparse(Sparse::new((ball.radius(), ball.entries()), changed, tracked)))
    }

    /// `u = P(x + eta sign g)`, then `x <- P(x + 3/4 (u - x) + 1/4 (x - before))`; the first step and those in L1 go to
    /// `u` itself.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn step(&mut self, gradient: &Tensor, ball: &Ball) -> Result<()> {
        let next = match self.rule {
            Rule::Sparse(Sparse { share, length, .. }) => {
                let step = (ball.sparse_direction(gradient, share)? * length)?;
                ball.project(&(&self.x + step)?)?
            }
            Rule::Momentum(schedule) => {
                let new = if self.done == 0 { 1. } else { NEW };
                let u = ball.advance(&self.x, gradient, schedule.length)?;
                let ahead = ((u - &self.x)? * new)?;
                let again = ((&self.x - &self.before)? * (1. - new))?;
                ball.project(&((&self.x + ahead)? + again)?)?
            }
        };
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
        Ok([x, before, best, gradient, self.rule.to_tensor()?, counts])
    }

    /// What [`Self::to_state`] made.
    ///
    /// # Errors
    /// A state that is none.
    pub(super) fn from_state([x, before, best, gradient_at_best, rule, counts]: [Tensor; 6]) -> Result<Self> {
        let rule = Rule::from_tensor(&rule)?;
        let &[phase, done] = counts.to_vec1::<f64>()?.as_slice() else {
            candle_core::bail!("a run has two counts, found {:?}", counts.dims());
        };
        Ok(Self { phase: phase as usize, done: done as usize, x, before, best, gradient_at_best, rule })
    }
}
