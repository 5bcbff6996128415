//! Attacks: one file per method, written against an oracle, and the harness they share.
//!
//! A method only decides where to ask next. The [`harness`] owns the budget, the projection, the
//! random numbers, the best point and the 8-bit file; a [`Protocol`] names a frozen set of choices.

mod apgd;
mod bim;
mod blackbox;
pub mod catalogue;
mod corruption;
mod dct;
mod di_fgsm;
mod diversity;
mod fgsm;
mod goal;
pub mod harness;
mod hot_flip;
mod joint;
mod mi_fgsm;
mod minimal;
mod momentum;
mod ni_fgsm;
mod padam;
mod patch;
mod pgd;
mod prompt;
mod prompt_embedding;
pub mod protocol;
mod schema;
mod seg_certify;
mod spec;
mod steps;
mod strongest;
mod ti_fgsm;
pub mod universal;

pub use apgd::Apgd;
pub use bim::Bim;
pub use blackbox::{Boundary, Nes, Noise, NoiseKind, Spsa, Square, SquareMask};
pub use corruption::Corruption;
pub use dct::Dct;
pub use di_fgsm::DiFgsm;
pub use fgsm::Fgsm;
pub use goal::{Aim, AreaChange, Goal, GoalSpec, Shift, Swap, UnknownGoal};
pub use harness::budget::{Budget, BudgetError, Echo, Epsilon, Norm, Unit};
pub use harness::checkpoint::{Checkpoint, CheckpointError};
pub use harness::evaluation::Evaluation;
pub use harness::preference::Seeks;
pub use harness::problem::{Problem, Setup};
pub use harness::smallest::Smallest;
pub use harness::success::{Criterion, Success};
pub use harness::tracker::{StepRecord, Tracker, Watcher};
pub use harness::{Outcome, check_bounds, run};
pub use hot_flip::HotFlip;
pub use joint::Joint;
pub use mi_fgsm::MiFgsm;
pub use minimal::{AlmaProx, Cw, Dag, SmallestEpsilon};
pub use ni_fgsm::NiFgsm;
pub use padam::Padam;
pub use patch::{GREY, Named, Patch, Place, Placement, Rectangle};
pub use pgd::Pgd;
pub use prompt::Prompt;
pub use prompt_embedding::PromptEmbedding;
pub use protocol::{Choices, Protocol};
pub use seg_certify::SegCertify;
pub use spec::{AttackSpec, ReadParameters};
pub use strongest::{Member, MemberMethod, Strongest};
pub use ti_fgsm::TiFgsm;
pub use universal::{Universal, UniversalPerturbation, check_perturbation};

use crate::imaging::{ImagingError, Mask};
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

    /// The norms in which it can keep a budget; none if its own parameters bound the perturbation.
    fn norms(&self) -> &'static [Norm] {
        &[Norm::Linf, Norm::L2]
    }

    /// Whether the perturbation is bounded by a budget of the request, rather than by the method's own parameters.
    fn is_bounded(&self) -> bool {
        !self.norms().is_empty()
    }

    /// Whether a defence may stand before the model.
    fn takes_defence(&self) -> bool {
        true
    }

    /// What it looks for, and so which of its points becomes the result.
    fn seeks(&self) -> Seeks {
        Seeks::Strongest
    }

    /// How often to begin anew; the harness keeps the best.
    fn restarts(&self) -> usize {
        1
    }

    /// Points that it visits, restarts included: the unit of progress. A method that may stop early visits at most as
    /// many.
    fn points(&self) -> u64;

    /// What tells two attacks of a method apart that have no epsilon, such as `gaussian_noise 3`, or that change more
    /// than the image; attacks that have it are not compared with others at the same epsilon.
    fn variant(&self) -> Option<String> {
        None
    }

    /// The pixels that it takes for itself in an image of `frame` (width and height) of which `region` may change: no
    /// others change, and these count in no score. `None` if all pixels count.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] if they do not fit, or leave nothing to score.
    fn placement(&self, _frame: (usize, usize), _region: Option<&Mask>) -> Result<Option<Mask>, AttackError> {
        Ok(None)
    }

    /// What the reader of a result should know about these parameters on this problem.
    fn notes(&self, _problem: &Problem) -> Vec<String> {
        vec![]
    }

    /// Runs one restart: tells `log` about every point it asks the oracle about, the last one through
    /// [`Tracker::finish`], or ends with [`Tracker::settle`] or [`Tracker::settle_tried`]. A method of many steps begins
    /// at [`Tracker::resume`] and tells [`Tracker::keep`] before each step what it can go on from.
    ///
    /// # Errors
    /// Those of the oracle, such as a cancellation.
    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError>;
}
