//! BIM: the basic iterative method, PGD from the clean image.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Attack, AttackError, Epsilon, Pgd, Problem, Tracker, steps};
use crate::oracle::Oracle;

/// PGD that starts at the clean image. Kurakin, Goodfellow and Bengio 2017, arXiv 1607.02533.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bim {
    /// Number of gradient steps.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; a quarter of epsilon unless set, or
    /// `2.5 epsilon / steps` if that is more.
    pub alpha: Option<Epsilon>,
}

impl Default for Bim {
    fn default() -> Self {
        Self { steps: 10, alpha: None }
    }
}

impl Bim {
    fn pgd(&self) -> Pgd {
        Pgd { steps: self.steps, alpha: self.alpha, random_start: false, restarts: 1 }
    }
}

impl Attack for Bim {
    fn check(&self) -> Result<(), AttackError> {
        self.pgd().check()
    }

    fn notes(&self, problem: &Problem) -> Vec<String> {
        self.pgd().notes(problem)
    }

    fn points(&self) -> u64 {
        steps::walks(self.steps, 1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        self.pgd().run(problem, oracle, log)
    }
}
