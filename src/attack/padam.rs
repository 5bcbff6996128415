//! PAdam: Adam on the perturbation, projected.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::adam::{Adam, SMALLEST};
use super::{Attack, AttackError, Epsilon, Problem, Tracker, Unit, steps};
use crate::oracle::{Measure, Oracle};

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

    fn points(&self) -> u64 {
        steps::walks(self.steps, 1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ball = problem.ball();
        let mut adam = Adam::new(self.alpha(problem), ball.clean())?;
        let (mut x, mut largest) = (ball.clean().clone(), adam.means[1].clone());
        if let Some([kept, mean, square, most]) = log.resume() {
            (x, adam.means, adam.taken, largest) = (kept, [mean, square], log.step(), most);
        }
        for step in log.step()..self.steps {
            log.keep([&x, &adam.means[0], &adam.means[1], &largest]);
            let answer = oracle.gradient_by(&x, &Measure::after(step, self.steps))?;
            log.visit(&x, &answer)?;
            let direction = direction(&mut adam, &mut largest, &ball.allowed(answer.gradient)?)?;
            x = ball.project(&(x + (direction * adam.rate)?)?)?;
        }
        log.keep([&x, &adam.means[0], &adam.means[1], &largest]);
        log.finish(&x, oracle)
    }
}

/// The direction of the next step: Adam's, but over the root of the largest mean square there was.
///
/// # Errors
/// A gradient of another shape.
fn direction(adam: &mut Adam, largest: &mut Tensor, gradient: &Tensor) -> candle_core::Result<Tensor> {
    let grown = adam.remember(gradient)?;
    *largest = largest.maximum(&adam.means[1])?;
    let root = ((&*largest / grown[1])?.sqrt()? + SMALLEST)?;
    (&adam.means[0] / grown[0])? / root
}
