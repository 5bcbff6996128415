//! ALMA prox: the smallest L-infinity perturbation under one constraint for each pixel.

mod constraints;
mod penalty;
mod prox;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::margin::{Margins, weights};
use crate::attack::harness::projection::Ball;
use crate::attack::steps::{at_least_one, refused, walks};
use crate::attack::{Attack, AttackError, Norm, Problem, Seeks, Tracker};
use crate::oracle::{Answer, Measure, Oracle};
use constraints::{Constraints, Moment};

/// What is kept of the mean squared gradient in a step.
const KEPT: f64 = 0.8;
/// Below this an entry of the metric counts as zero.
const SMALLEST: f64 = 1e-8;
/// The length of the last step as a share of the first one's.
const LAST_STEP: f64 = 0.1;

/// Minimises `||delta||_inf` under the constraint that each pixel is on the wrong side: the constraints enter by a penalty
/// whose weights adapt pixel by pixel, the norm by its proximal step in the metric of the running mean gradient.
///
/// `delta <- prox(delta - lambda g / H)`, `H = sqrt(mean g^2)`, `g` being the gradient of the sum of penalties. The worst
/// constraints, up to `1 - share` of all, are given up as the steps go by. Rony, Pesquet and Ben Ayed 2023, arXiv
/// 2206.07179, algorithm 1; a point counts once it meets the criterion of success, in the paper once `share` of all
/// pixels is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlmaProx {
    /// Number of steps; each asks for the loss and for a gradient.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, in units of full scale, before the first success; it falls to a tenth.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub learning_rate: f64,
    /// The share of pixels whose constraint has to be met; the others are given up.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub share: f64,
}

impl Default for AlmaProx {
    fn default() -> Self {
        Self { steps: 300, learning_rate: 0.001, share: 0.99 }
    }
}

/// What an attack goes on from.
struct State {
    x: Tensor,
    /// The running mean of the squared gradient, from 0.
    square: Tensor,
    constraints: Option<Constraints>,
    /// The first step that met the criterion.
    found: Option<usize>,
}

impl State {
    fn new(ball: &Ball) -> candle_core::Result<Self> {
        Ok(Self { x: ball.clean().clone(), square: ball.clean().zeros_like()?, constraints: None, found: None })
    }

    /// `x`, the squares, the rows of the constraints (none before the first step), and numbers.
    fn to_tensors(&self) -> candle_core::Result<[Tensor; 4]> {
        let found = self.found.map_or(-1., |step| step as f64);
        let (rows, scale) = match &self.constraints {
            Some(constraints) => {
                let [rows, scale] = constraints.to_tensors()?;
                (rows, scale.to_vec1::<f64>()?[0])
            }
            None => (Tensor::new(&[[0f64]], &Device::Cpu)?, 0.),
        };
        Ok([self.x.clone(), self.square.clone(), rows, Tensor::new(&[scale, found], &Device::Cpu)?])
    }

    fn from_tensors([x, square, rows, numbers]: [Tensor; 4]) -> candle_core::Result<Self> {
        let [scale, found] = numbers.to_vec1::<f64>()?[..] else {
            return Err(candle_core::Error::msg("the state of alma_prox has two numbers"));
        };
        let constraints = (scale > 0.).then(|| Constraints::from_tensors(&rows, scale)).transpose()?;
        Ok(Self { x, square, constraints, found: (found >= 0.).then_some(found as usize) })
    }
}

impl AlmaProx {
    /// The length of a step: it stays until the first success, half of the steps at most, and falls hyperbolically then.
    fn length(&self, step: usize, found: Option<usize>) -> f64 {
        let begin = found.unwrap_or(self.steps / 2);
        let tangent = LAST_STEP / (1. - LAST_STEP) * (self.steps - begin).max(1) as f64;
        self.learning_rate * tangent / (step.saturating_sub(begin) as f64 + tangent)
    }
}

/// The point after a step of length `lambda` against `gradient`, and the proximal step.
fn next(ball: &Ball, state: &mut State, gradient: &Tensor, (lambda, step): (f64, usize)) -> candle_core::Result<()> {
    state.square = ((&state.square * KEPT)? + (gradient.sqr()? * (1. - KEPT))?)?;
    let grown = 1. - KEPT.powi(i32::try_from(step + 1).unwrap_or(i32::MAX));
    let metric = (&state.square / grown)?.sqrt()?.maximum(SMALLEST)?;
    let delta = ((&state.x - ball.clean())? - (gradient.div(&metric)? * lambda)?)?;
    let boxed = (ball.project(&(ball.clean() + &delta)?)? - ball.clean())?;
    let [before, cut, weight] = [&delta, &boxed, &metric].map(|x| x.flatten_all()?.to_vec1::<f32>());
    let norm = prox::norm(&before?, &cut?, &weight?, lambda);
    state.x = ball.project(&(ball.clean() + boxed.clamp(-norm, norm)?)?)?;
    Ok(())
}

impl Attack for AlmaProx {
    fn check(&self) -> Result<(), AttackError> {
        at_least_one("steps", self.steps, "take at least one step")?;
        if !(self.learning_rate > 0. && self.learning_rate <= 1.) {
            return Err(refused("learning_rate", self.learning_rate, "use a number above 0 and not above 1"));
        }
        if self.share > 0. && self.share <= 1. {
            return Ok(());
        }
        Err(refused("share", self.share, "use a share above 0; 1 gives no pixel up"))
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::Linf]
    }

    fn seeks(&self) -> Seeks {
        Seeks::Nearest
    }

    fn points(&self) -> u64 {
        walks(self.steps, 1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ball = problem.ball();
        let mut state = match log.resume() {
            Some(tensors) => State::from_tensors(tensors)?,
            None => State::new(ball)?,
        };
        for step in log.step()..self.steps {
            let [x, square, rows, numbers] = state.to_tensors()?;
            log.keep([&x, &square, &rows, &numbers]);
            let (loss, logits) = oracle.loss_by(&x, &Measure::after(step, self.steps))?;
            let met = log.would_meet(loss, &logits)?;
            if met && step < self.steps / 2 {
                state.found = state.found.or(Some(step));
            }
            let margins = Margins::of(problem, &logits)?;
            let constraints = state.constraints.get_or_insert_with(|| Constraints::new(margins.count()));
            let slopes = constraints.slopes(&margins, Moment { step, steps: self.steps, share: self.share, met });
            let weights = Some(weights(slopes.into_iter(), &logits)?);
            let gradient = oracle.gradient_by(&x, &Measure { weights, ..Measure::after(step, self.steps) })?.gradient;
            log.visit(&x, &Answer { loss, gradient: gradient.clone(), logits })?;
            let length = self.length(step, state.found);
            next(ball, &mut state, &ball.allowed(gradient)?, (length, step))?;
        }
        let [x, square, rows, numbers] = state.to_tensors()?;
        log.keep([&x, &square, &rows, &numbers]);
        log.finish(&x, oracle)
    }
}
