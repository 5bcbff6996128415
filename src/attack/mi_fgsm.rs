//! MI-FGSM: the momentum iterative fast gradient sign method.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::momentum::{Place, Walk};
use super::{Attack, AttackError, Epsilon, Problem, Tracker, steps};
use crate::oracle::{Measure, Oracle};

/// Steps along a running sum of gradients, which carries the attack over small bumps of the loss and makes its
/// images fool other models more often.
///
/// Dong et al. 2018 (CVPR), arXiv 1710.06081.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MiFgsm {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; `epsilon / steps` unless set.
    pub alpha: Option<Epsilon>,
    /// What is left of the sum after a step: 0 is BIM, 1 sums all gradients.
    #[schema(minimum = 0, maximum = 1)]
    pub decay: f64,
}

impl Default for MiFgsm {
    fn default() -> Self {
        Self { steps: 10, alpha: None, decay: 1. }
    }
}

impl MiFgsm {
    fn walk(&self) -> Walk {
        Walk { steps: self.steps, alpha: self.alpha, decay: self.decay }
    }
}

impl Attack for MiFgsm {
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
        self.walk().run(problem, oracle, log, |Place { step, x, .. }, oracle, log| {
            let answer = oracle.gradient_by(x, &Measure::after(step, self.steps))?;
            log.visit(x, &answer)?;
            Ok(answer.gradient)
        })
    }
}
