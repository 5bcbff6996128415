//! SPSA: Adam on a gradient that is estimated from probes along random signs.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::nes::check_reach;
use super::probes::{Probes, Rule, sign};
use crate::attack::harness::adam::Adam;
use crate::attack::{Attack, AttackError, Epsilon, Problem, Tracker, Unit};
use crate::oracle::Oracle;

/// Steps of Adam, each projected, with the gradient estimated from the objective at pairs of points `x + delta v`,
/// `x - delta v`, each value of `v` being 1 or -1. Uesato, O'Donoghue, van den Oord and Kohli 2018,
/// arXiv 1802.05666, algorithm 1; the draws on a coarse grid are ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Spsa {
    /// How often the model is asked: the start, two for each pair of probes, the end. An odd number leaves one over.
    #[schema(minimum = 4, maximum = 10000)]
    pub queries: usize,
    /// Pairs of probes for each step.
    #[schema(minimum = 1, maximum = 5000)]
    pub samples: usize,
    /// How far a probe goes.
    pub delta: Epsilon,
    /// Adam's step.
    pub learning_rate: Epsilon,
    /// Directions are drawn on a grid of this many points a side and spread over the image; at most the image's own.
    #[schema(minimum = 1, maximum = 10000)]
    pub grid: usize,
}

impl Default for Spsa {
    fn default() -> Self {
        let hundredth = Epsilon::new(0.01, Unit::Unit01).expect("a positive constant");
        Self { queries: 2000, samples: 32, delta: hundredth, learning_rate: hundredth, grid: 44 }
    }
}

impl Attack for Spsa {
    fn check(&self) -> Result<(), AttackError> {
        Probes::check(self.queries, self.samples, self.grid)?;
        check_reach("delta", self.delta)
    }

    fn points(&self) -> u64 {
        Probes::points(self.queries) as u64
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let probes = Probes {
            queries: self.queries,
            samples: self.samples,
            reach: problem.length(self.delta),
            grid: self.grid,
            number: sign,
            purpose: "spsa",
        };
        let adam = Adam::new(problem.length(self.learning_rate), problem.ball().clean())?;
        probes.ascend(problem, Rule::Adam(adam), oracle, log)
    }
}
