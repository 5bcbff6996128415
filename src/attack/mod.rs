//! Attacks: one file per method, written against an oracle, and the harness they share.
//!
//! A method only decides where to ask next. The [`harness`] owns the budget, the projection, the
//! random numbers, the best point and the 8-bit file; a [`Protocol`] names a frozen set of choices.

pub mod catalogue;
mod corruption;
mod fgsm;
mod goal;
pub mod harness;
mod pgd;
mod prompt;
pub mod protocol;
mod schema;

use serde::{Deserialize, Serialize};

pub use corruption::Corruption;
pub use fgsm::Fgsm;
pub use goal::{Aim, Goal};
pub use harness::budget::{Budget, BudgetError, Echo, Epsilon, Norm, Unit};
pub use harness::checkpoint::{Checkpoint, CheckpointError};
pub use harness::evaluation::Evaluation;
pub use harness::problem::{Problem, Setup};
pub use harness::success::{Criterion, Success};
pub use harness::tracker::{StepRecord, Tracker, Watcher};
pub use harness::{Outcome, check_bounds, run};
pub use pgd::Pgd;
pub use prompt::Prompt;
pub use protocol::{Choices, Protocol};

use crate::imaging::ImagingError;
use crate::metric::MetricError;
use crate::oracle::{Oracle, OracleError};

/// Why an attack could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// A parameter that makes no sense.
    #[error("{name} is {value}: {rule}")]
    Parameter { name: &'static str, value: String, rule: &'static str },
    /// An image or mask of another size than the rest.
    #[error("the {what} is {}x{} but has to be {}x{}: resize it first", found.0, found.1, wanted.0, wanted.1)]
    Size { what: &'static str, found: (usize, usize), wanted: (usize, usize) },
    /// A loss that is not a finite number.
    #[error("the loss is {0}: the attack would be meaningless")]
    Loss(f32),
    /// A budget that cannot be used.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// The oracle did not answer.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// An image could not be made or read.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// Masks could not be compared.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// One attack method with its parameters.
pub trait Attack {
    /// Checks the parameters by themselves.
    ///
    /// # Errors
    /// [`AttackError::Parameter`], which names the rule that was broken.
    fn check(&self) -> Result<(), AttackError> {
        Ok(())
    }

    /// Whether the perturbation is bounded by a budget of the request, rather than by the method's own parameters.
    fn is_bounded(&self) -> bool {
        true
    }

    /// How often to begin anew; the harness keeps the best.
    fn restarts(&self) -> usize {
        1
    }

    /// What the reader of a result should know about these parameters on this problem.
    fn notes(&self, _problem: &Problem) -> Vec<String> {
        vec![]
    }

    /// Runs one restart: tells `log` about every point it asks the oracle about, the last one through
    /// [`Tracker::finish`]. A method of many steps begins at [`Tracker::resume`] and tells [`Tracker::keep`] before
    /// each step what it can go on from.
    ///
    /// # Errors
    /// Those of the oracle, such as a cancellation.
    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError>;
}

/// A method and its parameters as they stand in a request, for example
/// `{"method": "pgd", "steps": 40}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum AttackSpec {
    /// One step: [`Fgsm`].
    Fgsm(Fgsm),
    /// Many projected steps: [`Pgd`].
    Pgd(Pgd),
    /// What happens to pictures by nature: [`Corruption`].
    Corruption(Corruption),
    /// The image as it is, the text changed: [`Prompt`].
    Prompt(Prompt),
}

impl AttackSpec {
    /// The method itself.
    pub fn attack(&self) -> &dyn Attack {
        match self {
            Self::Fgsm(fgsm) => fgsm,
            Self::Pgd(pgd) => pgd,
            Self::Corruption(corruption) => corruption,
            Self::Prompt(prompt) => prompt,
        }
    }

    /// The name used in requests and reports.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Fgsm(_) => "fgsm",
            Self::Pgd(_) => "pgd",
            Self::Corruption(_) => "corruption",
            Self::Prompt(_) => "prompt",
        }
    }

    /// Points that the attack visits, at most, restarts included: the unit of progress.
    pub fn points(&self) -> u64 {
        match self {
            Self::Fgsm(_) => 2,
            Self::Pgd(pgd) => (pgd.steps as u64).saturating_add(1).saturating_mul(pgd.restarts as u64),
            Self::Corruption(corruption) => corruption.points() as u64,
            Self::Prompt(prompt) => prompt.points() as u64,
        }
    }

    /// What tells two attacks of a method apart that have no epsilon: `gaussian_noise 3`.
    pub fn variant(&self) -> Option<String> {
        match self {
            Self::Fgsm(_) | Self::Pgd(_) => None,
            Self::Corruption(Corruption { kind, severity }) => Some(format!("{kind} {}", severity.level())),
            Self::Prompt(Prompt { edits, .. }) => Some(edits.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_with_defaults_and_unknown_fields_are_refused() {
        let read = |json: &str| serde_json::from_str::<AttackSpec>(json);
        assert_eq!(read(r#"{"method":"fgsm"}"#).unwrap(), AttackSpec::Fgsm(Fgsm {}));
        assert_eq!(read(r#"{"method":"pgd"}"#).unwrap(), AttackSpec::Pgd(Pgd::default()));
        let bim = read(r#"{"method":"pgd","random_start":false,"alpha":{"value":2,"unit":"pixel255"}}"#).unwrap();
        let alpha = Some(Epsilon::new(2., Unit::Pixel255).unwrap());
        assert_eq!(bim, AttackSpec::Pgd(Pgd { random_start: false, alpha, ..Pgd::default() }));
        assert_eq!(read(&serde_json::to_string(&bim).unwrap()).unwrap(), bim);
        assert!(read(r#"{"method":"pgd","step":3}"#).unwrap_err().to_string().contains("unknown field"));
        assert!(read(r#"{"method":"fgsm","steps":3}"#).is_err());
        assert!(read(r#"{"method":"magic"}"#).is_err());
    }

    #[test]
    fn points_are_counted_without_overflow() {
        let points = |steps, restarts| AttackSpec::Pgd(Pgd { steps, restarts, ..Pgd::default() }).points();
        assert_eq!(AttackSpec::Fgsm(Fgsm {}).points(), 2);
        assert_eq!(points(40, 3), 123);
        assert_eq!(points(usize::MAX, 2), u64::MAX);
    }
}
