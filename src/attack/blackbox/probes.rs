//! Ascent along a gradient that is estimated from pairs of questions: what NES and SPSA share.
//!
//! For directions `v`, the differences `(f(x + d v) - f(x - d v)) / 2d` weigh the mean of the `v`. The probes are
//! brought back into the budget: where one side of a pair is cut off, the other still tells half of the slope, so the
//! estimate keeps its direction and every probe is an image that an attacker might use.

use candle_core::{Device, Tensor};

use super::coarse::Coarse;
use crate::attack::harness::adam::Adam;
use crate::attack::harness::projection::Ball;
use crate::attack::harness::random::{Draw, Stream};
use crate::attack::steps::{at_least, at_least_one};
use crate::attack::{AttackError, Problem, Tracker};
use crate::oracle::Oracle;

/// How a gradient is estimated.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probes {
    /// How often the model is asked: once about the start, twice a pair, once about the end.
    pub(super) queries: usize,
    /// Pairs for each estimate.
    pub(super) samples: usize,
    /// How far a probe goes along a direction, in the attack's space.
    pub(super) reach: f64,
    /// The side of the grid on which directions are drawn.
    pub(super) grid: usize,
    /// What each number of a direction is drawn from.
    pub(super) number: fn(&mut Stream) -> f64,
    /// For the streams of random numbers.
    pub(super) purpose: &'static str,
}

/// How an estimate becomes a step.
#[derive(Debug)]
pub(super) enum Rule {
    /// Along its sign, or its direction for L2, by this length.
    Steepest(f64),
    /// As Adam has it.
    Adam(Adam),
}

impl Rule {
    fn step(&mut self, ball: &Ball, x: &Tensor, gradient: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::Steepest(alpha) => ball.advance(x, gradient, *alpha),
            Self::Adam(adam) => ball.project(&(x + adam.step(&ball.allowed(gradient.clone())?)?)?),
        }
    }

    /// What has to be kept besides the number of steps.
    fn state(&self, nothing: &Tensor) -> [Tensor; 2] {
        match self {
            Self::Steepest(_) => [nothing.clone(), nothing.clone()],
            Self::Adam(adam) => adam.means.clone(),
        }
    }

    fn go_on(&mut self, means: [Tensor; 2], taken: usize) {
        if let Self::Adam(adam) = self {
            (adam.means, adam.taken) = (means, taken);
        }
    }
}

impl Probes {
    /// Refuses what cannot be estimated with.
    pub(super) fn check(queries: usize, samples: usize, grid: usize) -> Result<(), AttackError> {
        at_least(4, "queries", queries, "ask at least four times: about the start, one pair of probes and the end")?;
        for (name, value) in [("samples", samples), ("grid", grid)] {
            at_least_one(name, value, "use at least 1")?;
        }
        Ok(())
    }

    /// How often the model is asked: an odd number of questions leaves one over.
    pub(super) fn points(queries: usize) -> usize {
        2 + 2 * pairs(queries)
    }

    /// Climbs from the clean image.
    pub(super) fn ascend(
        self,
        problem: &Problem,
        mut rule: Rule,
        oracle: &mut dyn Oracle,
        log: &mut Tracker,
    ) -> Result<(), AttackError> {
        let ball = problem.ball();
        let coarse = Coarse::new(ball.clean(), self.grid)?;
        let nothing = Tensor::new(0f32, &Device::Cpu)?;
        // The point, the estimate so far, and the objective at the first probe of a pair.
        let (mut x, mut sum, mut first) = (ball.clean().clone(), coarse.zero().clone(), nothing.clone());
        if let Some([kept, so_far, one, mean, square]) = log.resume() {
            (x, sum, first) = (kept, so_far, one);
            rule.go_on([mean, square], log.step().saturating_sub(1) / 2 / self.samples);
        }
        let pairs = pairs(self.queries);
        while log.step() <= 2 * pairs {
            let [mean, square] = rule.state(&nothing);
            log.keep([&x, &sum, &first, &mean, &square]);
            let Some(probe) = log.step().checked_sub(1) else {
                log.score(&x, oracle)?;
                continue;
            };
            let (pair, side) = (probe / 2, if probe.is_multiple_of(2) { 1. } else { -1. });
            let draw = Draw { restart: 0, step: pair, purpose: self.purpose };
            let direction = coarse.draw(&mut problem.random().stream(draw), self.number)?;
            let there = ball.project(&(&x + (coarse.spread(&direction)? * (side * self.reach))?)?)?;
            let loss = log.score(&there, oracle)?.evaluation.loss;
            if side > 0. {
                first = Tensor::new(loss, &Device::Cpu)?;
                continue;
            }
            let slope = (f64::from(first.to_scalar::<f32>()?) - f64::from(loss)) / (2. * self.reach);
            sum = (sum + (direction * slope)?)?;
            let done = pair + 1;
            if done.is_multiple_of(self.samples) || done == pairs {
                let of_this_step = (done - 1) % self.samples + 1;
                x = rule.step(ball, &x, &coarse.spread(&(sum / of_this_step as f64)?)?)?;
                sum = coarse.zero().clone();
            }
        }
        let [mean, square] = rule.state(&nothing);
        log.keep([&x, &sum, &first, &mean, &square]);
        log.finish(&x, oracle)
    }
}

/// The pairs of probes in a number of questions.
fn pairs(queries: usize) -> usize {
    queries.saturating_sub(2) / 2
}

/// 1 or -1.
pub(super) fn sign(stream: &mut Stream) -> f64 {
    if stream.uniform() < 0.5 { -1. } else { 1. }
}
