//! Random noise at the same budget: the control that every attack has to beat.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::attack::harness::projection::Ball;
use crate::attack::harness::random::{Draw, Stream};
use crate::attack::harness::tracker::Visited;
use crate::attack::steps::at_least_one;
use crate::attack::{Attack, AttackError, Norm, Problem, Tracker};
use crate::oracle::Oracle;

/// The worst of many independent draws of noise within the budget, which follow no answer.
/// Carlini et al. 2019, arXiv 1902.06705, section 5 (compare against random search).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// How often noise is drawn and the model is asked.
    #[schema(minimum = 1, maximum = 10000)]
    pub queries: usize,
    /// What is drawn.
    pub kind: NoiseKind,
}

/// What noise is drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoiseKind {
    /// Uniform in the budget: each value on its own for L-inf, a point of the ball for L2; for L1 a uniform value at
    /// one random place after the other, until the budget is spent.
    #[default]
    Uniform,
    /// Normal; for L-inf with half of epsilon as its standard deviation, cut to the budget, for L2 brought to its
    /// length, for L1 of full scale and brought to the nearest point of the budget.
    Gaussian,
    /// Every value changes by the same amount, up or down: the whole budget. For L1 one random value after the other
    /// goes to an end of the valid range, until the budget is spent.
    Sign,
}

impl Default for Noise {
    fn default() -> Self {
        Self { queries: 100, kind: NoiseKind::Uniform }
    }
}

impl NoiseKind {
    /// A point of the ball.
    fn draw(self, ball: &Ball, stream: &mut Stream) -> candle_core::Result<Tensor> {
        let (clean, radius) = (ball.clean(), ball.radius());
        let sign = |s: &mut Stream| if s.uniform() < 0.5 { -1. } else { 1. };
        let noise = match (self, ball.norm()) {
            (Self::Uniform, Norm::Linf | Norm::L2) | (Self::Gaussian, Norm::L1) => return stream.within(ball),
            (Self::Uniform, Norm::L1) => return impulses(ball, stream, Stream::uniform),
            (Self::Sign, Norm::L1) => return impulses(ball, stream, |s| if s.uniform() < 0.5 { 0. } else { 1. }),
            (Self::Gaussian, Norm::Linf) => (stream.fill(clean, Stream::normal)? * (radius / 2.))?,
            (Self::Gaussian, Norm::L2) => (ball.direction(&stream.fill(clean, Stream::normal)?)? * radius)?,
            (Self::Sign, Norm::Linf) => (stream.fill(clean, sign)? * radius)?,
            (Self::Sign, Norm::L2) => (ball.direction(&stream.fill(clean, sign)?)? * radius)?,
        };
        ball.project(&(clean + noise)?)
    }
}

/// The clean image with values of `draw` in [0, 1], a place of the valid range, at random places of the region; the
/// last of them as far as the budget goes. Noise that is spread over all values is below half a level at the usual
/// budgets in L1, so no file would have it.
fn impulses(ball: &Ball, stream: &mut Stream, mut draw: impl FnMut(&mut Stream) -> f64) -> candle_core::Result<Tensor> {
    let allowed: Vec<f32> = ball.allowed(ball.clean().ones_like()?)?.flatten_all()?.to_vec1()?;
    let mut x: Vec<f32> = ball.clean().flatten_all()?.to_vec1()?;
    let mut left = ball.radius();
    for entry in stream.order(x.len()).into_iter().filter(|entry| allowed[*entry] != 0.) {
        if left <= 0. {
            break;
        }
        let from = f64::from(x[entry]);
        let (low, high) = ball.range().unwrap_or((from - left, from + left));
        let change = (low + (high - low) * draw(stream) - from).clamp(-left, left);
        x[entry] = (from + change) as f32;
        left -= change.abs();
    }
    ball.project(&Tensor::from_vec(x, ball.clean().shape(), ball.clean().device())?)
}

impl Attack for Noise {
    fn check(&self) -> Result<(), AttackError> {
        at_least_one("queries", self.queries, "draw at least once")
    }

    fn norms(&self) -> &'static [Norm] {
        &Norm::ALL
    }

    fn points(&self) -> u64 {
        self.queries as u64
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let mut last = log.resume().map(|state| Visited::from_state(state, problem)).transpose()?;
        while log.step() < self.queries {
            match &last {
                Some(visited) => log.keep_at(visited)?,
                None => log.keep([problem.ball().clean()]),
            }
            let draw = Draw { restart: 0, step: log.step(), purpose: "noise" };
            let x = self.kind.draw(problem.ball(), &mut problem.random().stream(draw))?;
            last = Some(log.score(&x, oracle)?);
        }
        if let Some(last) = last {
            log.keep_at(&last)?;
            log.settle(last, oracle)?;
        }
        Ok(())
    }
}
