//! The random search of Square Attack for an attacker who sees nothing but masks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::squares::{Sight, check, search};
use crate::attack::{Attack, AttackError, Norm, Problem, Tracker};
use crate::oracle::Oracle;

/// Squares of the whole budget at random places, each kept unless the mask gets better: one minus the DSC of the
/// thresholded masks takes the place of the objective. On a plateau the search walks on.
/// After Andriushchenko et al. 2020, arXiv 1912.00049, algorithm 2 (L-inf).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SquareMask {
    /// How often the model is asked.
    #[schema(minimum = 2, maximum = 10000)]
    pub queries: usize,
    /// The share of the image in the first squares; it halves nine times on the way.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub initial_share: f64,
}

impl Default for SquareMask {
    fn default() -> Self {
        Self { queries: 2000, initial_share: 0.8 }
    }
}

impl Attack for SquareMask {
    fn check(&self) -> Result<(), AttackError> {
        check(self.queries, self.initial_share)
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::Linf]
    }

    fn points(&self) -> u64 {
        self.queries as u64
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let sight =
            Sight { ask: |log, x, oracle| log.decide(x, oracle), accepts: |proposed, current| proposed >= current };
        search(problem, oracle, log, (self.queries, self.initial_share), sight)
    }
}
