//! Square Attack: random search over squares, scored by the objective.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::squares::{Sight, check, search};
use crate::attack::{Attack, AttackError, Norm, Problem, Tracker};
use crate::oracle::Oracle;

/// Squares of the whole budget at random places, each kept if the objective rises.
/// Andriushchenko, Croce, Flammarion and Hein 2020, arXiv 1912.00049, algorithm 2 (L-inf).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Square {
    /// How often the model is asked.
    #[schema(minimum = 2, maximum = 10000)]
    pub queries: usize,
    /// The share of the image in the first squares; it halves nine times on the way.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub initial_share: f64,
}

impl Default for Square {
    fn default() -> Self {
        Self { queries: 2000, initial_share: 0.8 }
    }
}

impl Attack for Square {
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
            Sight { ask: |log, x, oracle| log.score(x, oracle), accepts: |proposed, current| proposed > current };
        search(problem, oracle, log, (self.queries, self.initial_share), sight)
    }
}
