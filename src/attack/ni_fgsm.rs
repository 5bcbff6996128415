//! NI-FGSM: momentum that looks ahead.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::momentum::{Place, Walk};
use super::{Attack, AttackError, Epsilon, Norm, Problem, Tracker, steps};
use crate::oracle::{Measure, Oracle};

/// As MI-FGSM, but the gradient is taken where the momentum is about to lead, `x + alpha mu g`: Nesterov's method.
///
/// Lin et al. 2020 (ICLR), arXiv 1908.06281. The place ahead is brought back into the budget, so that it is an image
/// that may be the result; it is the one that is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NiFgsm {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; `epsilon / steps` unless set.
    pub alpha: Option<Epsilon>,
    /// What is left of the sum after a step, and how far the look ahead goes.
    #[schema(minimum = 0, maximum = 1)]
    pub decay: f64,
}

impl Default for NiFgsm {
    fn default() -> Self {
        Self { steps: 10, alpha: None, decay: 1. }
    }
}

impl NiFgsm {
    fn walk(&self) -> Walk {
        Walk { steps: self.steps, alpha: self.alpha, decay: self.decay }
    }
}

impl Attack for NiFgsm {
    fn check(&self) -> Result<(), AttackError> {
        self.walk().check()
    }

    fn notes(&self, problem: &Problem) -> Vec<String> {
        self.walk().notes(problem)
    }

    fn points(&self) -> u64 {
        steps::walks(self.steps, 1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ball = problem.ball();
        // `g` has entries of about 1: of length 1 in Linf, `sqrt(entries)` in L2, `entries` in L1.
        let length_of_g = match ball.norm() {
            Norm::Linf => 1.,
            Norm::L2 => ball.entries().max(1.).sqrt(),
            Norm::L1 => ball.entries().max(1.),
        };
        let reach = self.decay * self.walk().alpha(problem) / length_of_g;
        self.walk().run(problem, oracle, log, |Place { step, x, g }, oracle, log| {
            let ahead = ball.project(&(x + (g * reach)?)?)?;
            let answer = oracle.gradient_by(&ahead, &Measure::after(step, self.steps))?;
            log.visit(&ahead, &answer)?;
            Ok(answer.gradient)
        })
    }
}
