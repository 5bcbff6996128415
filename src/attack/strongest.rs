//! The strongest of several attacks on each image: APGD on one loss after another.
//!
//! No single loss is the best on every image, so the worst case over a few of them is what robustness has to be
//! judged by. Every member starts where the others do and runs as it would alone; the harness keeps the best point
//! and the best file of all restarts. So on no image is this weaker than a member.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Apgd, Attack, AttackError, Problem, Tracker, steps};
use crate::loss::Loss;
use crate::oracle::Oracle;

/// The worst case over APGD on several losses, by the DSC of each image.
///
/// Croce, Singh and Hein 2024 (ECCV), arXiv 2306.12941: SEA, with its three losses and its radius reduction unless
/// told otherwise. The worst case of a mean over images is that of each image; SEA's search over a data set's mIoU,
/// which is no such mean, has no part here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Strongest {
    /// The losses, each of which is given `steps` steps from each start. Results record restart after restart: first
    /// every loss from the first start, in this order.
    #[schema(min_items = 1)]
    pub losses: Vec<Loss>,
    /// Number of gradient steps of each member.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Random starts of each member.
    #[schema(minimum = 1, maximum = 5000)]
    pub starts: usize,
    /// Whether members spend their first steps in larger budgets, as in `apgd`.
    pub radius_reduction: bool,
}

impl Default for Strongest {
    fn default() -> Self {
        let losses = vec![Loss::MaskedCe, Loss::BalancedMaskedCe, Loss::Jsd];
        Self { losses, steps: 100, starts: 1, radius_reduction: true }
    }
}

impl Strongest {
    /// The attack that each loss is given to.
    fn member(&self) -> Apgd {
        let Self { steps, starts: restarts, radius_reduction, .. } = *self;
        Apgd { steps, restarts, radius_reduction, random_start: true }
    }

    /// Points that all members visit.
    pub(super) fn points(&self) -> u64 {
        (self.member().points_of_a_restart() as u64).saturating_mul(self.restarts() as u64)
    }
}

impl Attack for Strongest {
    fn check(&self) -> Result<(), AttackError> {
        steps::at_least_one("losses", self.losses.len(), "name at least one loss")?;
        if let Some(twice) = (1..self.losses.len()).find(|at| self.losses[..*at].contains(&self.losses[*at])) {
            return Err(steps::refused("losses", self.losses[twice], "it stands there twice: name each loss once"));
        }
        steps::at_least_one("starts", self.starts, "1 starts each loss once")?;
        self.member().check()
    }

    fn restarts(&self) -> usize {
        self.losses.len().saturating_mul(self.starts)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let (start, loss) = (log.restart() / self.losses.len(), self.losses[log.restart() % self.losses.len()]);
        self.member().restart((Some(loss), start), problem, oracle, log)
    }
}
