//! PAdam: Adam on the perturbation, projected.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attack, AttackError, Epsilon, Problem, Tracker, Unit, steps};
use crate::oracle::{Measure, Oracle};

/// Decay of the mean of gradients and of the mean of their squares: the optimiser's usual ones.
const DECAY: (f64, f64) = (0.9, 0.999);

/// Added to the root of the squares. The usual 1e-8 would be larger than the gradient of a mean over all pixels.
const SMALLEST_ROOT: f64 = 1e-12;

/// The length of a step unless set: 2/255.
const DEFAULT_LEVELS: f64 = 2.;

/// Steps of Adam (its AMSGrad variant) that raise the objective, each projected back into the budget: every entry has
/// a step of its own, so the path differs from that of sign steps.
///
/// Kingma and Ba 2015, arXiv 1412.6980; Reddi, Kale and Kumar 2018, arXiv 1904.09237. As part of an evaluation of
/// segmentation: Halmosi, Mohos and Jelasity 2024 (ECCV), arXiv 2407.09150.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Padam {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step of one entry while its gradient keeps its sign; 2 of 255 levels unless set.
    pub alpha: Option<Epsilon>,
}

impl Default for Padam {
    fn default() -> Self {
        Self { steps: 200, alpha: None }
    }
}

impl Padam {
    fn alpha(&self, problem: &Problem) -> f64 {
        let default = || Epsilon::new(DEFAULT_LEVELS, Unit::Pixel255).expect("a positive constant");
        problem.length(self.alpha.unwrap_or_else(default))
    }
}

impl Attack for Padam {
    fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("steps", self.steps, "take at least one step")
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let (ball, alpha) = (problem.ball(), self.alpha(problem));
        let (mut x, mut adam) = match log.resume() {
            Some([x, mean, square, largest]) => (x, Adam { mean, square, largest }),
            None => (ball.clean().clone(), Adam::new(ball.clean())?),
        };
        for step in log.step()..self.steps {
            log.keep([&x, &adam.mean, &adam.square, &adam.largest]);
            let answer = oracle.gradient_by(&x, &Measure::after(step, self.steps))?;
            log.visit(&x, &answer)?;
            let direction = adam.direction(&ball.allowed(answer.gradient)?, step + 1)?;
            x = ball.project(&(x + (direction * alpha)?)?)?;
        }
        log.keep([&x, &adam.mean, &adam.square, &adam.largest]);
        log.finish(&x, oracle)
    }
}

/// Running means of gradients.
struct Adam {
    mean: Tensor,
    square: Tensor,
    /// The largest `square` there was, which AMSGrad divides by.
    largest: Tensor,
}

impl Adam {
    fn new(like: &Tensor) -> candle_core::Result<Self> {
        let zeros = like.zeros_like()?;
        Ok(Self { mean: zeros.clone(), square: zeros.clone(), largest: zeros })
    }

    /// The direction of step `t`, from 1.
    fn direction(&mut self, gradient: &Tensor, t: usize) -> candle_core::Result<Tensor> {
        let (first, second) = DECAY;
        self.mean = ((&self.mean * first)? + (gradient * (1. - first))?)?;
        self.square = ((&self.square * second)? + (gradient.sqr()? * (1. - second))?)?;
        self.largest = self.largest.maximum(&self.square)?;
        let unbias = |decay: f64| 1. - decay.powf(t as f64);
        let root = ((&self.largest / unbias(second))?.sqrt()? + SMALLEST_ROOT)?;
        (&self.mean / unbias(first))? / root
    }
}
