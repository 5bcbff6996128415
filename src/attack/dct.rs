//! PGD on low frequencies: smooth perturbations, which survive resizing and compression.

mod transform;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::steps::{at_least_one, length, unused_budget, walks};
use super::{Attack, AttackError, Epsilon, Problem, Tracker};
use crate::oracle::{Measure, Oracle};
use transform::LowPass;

/// Projected gradient steps from the clean image whose gradient and perturbation keep nothing but the lowest
/// frequencies of the discrete cosine transform; where the budget cuts a perturbation off, some higher ones come back.
///
/// Guo, Frank and Weinberger 2019, arXiv 1809.08758; Sharma, Ding and Brubaker 2019, arXiv 1903.00073.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dct {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; a quarter of epsilon unless set.
    pub alpha: Option<Epsilon>,
    /// Frequencies that are kept along each axis, from 0 upwards; as many as the axis has pixels keep all.
    #[schema(minimum = 1, maximum = 10000)]
    pub frequencies: usize,
}

impl Default for Dct {
    fn default() -> Self {
        Self { steps: 40, alpha: None, frequencies: 32 }
    }
}

impl Dct {
    fn alpha(&self, problem: &Problem) -> f64 {
        length(self.alpha, 0.25, problem)
    }
}

impl Attack for Dct {
    fn check(&self) -> Result<(), AttackError> {
        at_least_one("steps", self.steps, "take at least one step")?;
        at_least_one("frequencies", self.frequencies, "1 keeps one colour for the whole image")
    }

    fn notes(&self, problem: &Problem) -> Vec<String> {
        unused_budget(self.steps, self.alpha(problem), problem)
    }

    fn points(&self) -> u64 {
        walks(self.steps, 1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let (ball, alpha) = (problem.ball(), self.alpha(problem));
        let low_pass = LowPass::new(ball.clean(), self.frequencies)?;
        let mut x = match log.resume() {
            Some([x]) => x,
            None => ball.clean().clone(),
        };
        for step in log.step()..self.steps {
            log.keep([&x]);
            let answer = oracle.gradient_by(&x, &Measure::after(step, self.steps))?;
            log.visit(&x, &answer)?;
            let gradient = low_pass.apply(&ball.allowed(answer.gradient)?)?;
            let perturbation = ((&x + (ball.direction(&gradient)? * alpha)?)? - ball.clean())?;
            x = ball.project(&(ball.clean() + low_pass.apply(&perturbation)?)?)?;
        }
        log.keep([&x]);
        log.finish(&x, oracle)
    }
}
