//! NES: projected steps along a gradient that is estimated from Gaussian probes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::probes::{Probes, Rule};
use crate::attack::harness::random::Stream;
use crate::attack::steps::{length, refused};
use crate::attack::{Attack, AttackError, Epsilon, Problem, Tracker, Unit};
use crate::oracle::Oracle;

/// PGD from the clean image, with the gradient estimated from the objective at pairs of points
/// `x + sigma u`, `x - sigma u`, `u` normal. Ilyas, Engstrom, Athalye and Lin 2018, arXiv 1804.08598; the draws on a
/// coarse grid are ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Nes {
    /// How often the model is asked: the start, two for each pair of probes, the end. An odd number leaves one over.
    #[schema(minimum = 4, maximum = 10000)]
    pub queries: usize,
    /// Pairs of probes for each step.
    #[schema(minimum = 1, maximum = 5000)]
    pub samples: usize,
    /// How far a probe goes: standard deviation of each value.
    pub sigma: Epsilon,
    /// Length of a step, with its unit; a quarter of epsilon unless set.
    pub alpha: Option<Epsilon>,
    /// Directions are drawn on a grid of this many points a side and spread over the image; at most the image's own.
    #[schema(minimum = 1, maximum = 10000)]
    pub grid: usize,
}

impl Default for Nes {
    fn default() -> Self {
        let sigma = Epsilon::new(0.01, Unit::Unit01).expect("a positive constant");
        Self { queries: 2000, samples: 25, sigma, alpha: None, grid: 44 }
    }
}

/// Refuses probes that go nowhere.
pub(super) fn check_reach(name: &'static str, reach: Epsilon) -> Result<(), AttackError> {
    let value = reach.in_unit(reach.unit(), &[1.; 3]);
    if value > 0. {
        return Ok(());
    }
    Err(refused(name, value, "a probe has to go somewhere: use more than 0"))
}

impl Attack for Nes {
    fn check(&self) -> Result<(), AttackError> {
        Probes::check(self.queries, self.samples, self.grid)?;
        check_reach("sigma", self.sigma)
    }

    fn points(&self) -> u64 {
        Probes::points(self.queries) as u64
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let probes = Probes {
            queries: self.queries,
            samples: self.samples,
            reach: problem.length(self.sigma),
            grid: self.grid,
            number: Stream::normal,
            purpose: "nes",
        };
        let alpha = length(self.alpha, 0.25, problem);
        probes.ascend(problem, Rule::Steepest(alpha), oracle, log)
    }
}
