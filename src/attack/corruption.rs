//! Natural corruptions as an attack that knows nothing and wants nothing.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::random::Draw;
use super::{Attack, AttackError, Norm, Problem, Tracker};
use crate::corruption::{Kinds, Severity, corrupt};
use crate::oracle::Oracle;

/// The worst of some natural corruptions at one severity: what happens to pictures without an attacker.
///
/// There is no budget: how far a picture is changed follows from kind and severity, and is measured afterwards.
/// Hendrycks and Dietterich 2019, arXiv 1903.12261.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Corruption {
    /// One kind, or a group of which the worst counts.
    pub kind: Kinds,
    /// From 1 (mild) to 5 (strong).
    pub severity: Severity,
}

impl Attack for Corruption {
    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn points(&self) -> u64 {
        self.kind.members().len() as u64
    }

    fn variant(&self) -> Option<String> {
        Some(format!("{} {}", self.kind, self.severity.level()))
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let x = problem.ball().clean();
        let done = log.resume().map_or(0, |[_]: [Tensor; 1]| log.step());
        for kind in self.kind.members().into_iter().skip(done) {
            log.keep([x]);
            // The same noise whichever other kinds are tried, and at whatever severity.
            let key = problem.random().key(Draw { restart: 0, step: 0, purpose: kind.name() });
            let image = corrupt(&problem.setup().image, kind, self.severity, key)?;
            let x = problem.ball().project(&problem.to_point(&image)?)?;
            log.try_out(kind.name(), &x, oracle)?;
        }
        log.keep([x]);
        log.settle_tried(oracle)
    }
}
