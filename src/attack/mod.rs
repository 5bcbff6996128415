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
mod steps;
mod strongest;
mod ti_fgsm;
pub mod universal;

use serde::{Deserialize, Serialize};

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

    /// What it looks for, and so which of its points becomes the result.
    fn seeks(&self) -> Seeks {
        Seeks::Strongest
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
    /// [`Tracker::finish`], or ends with [`Tracker::settle`] or [`Tracker::settle_tried`]. A method of many steps begins
    /// at [`Tracker::resume`] and tells [`Tracker::keep`] before each step what it can go on from.
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
    /// PGD from the clean image: [`Bim`].
    Bim(Bim),
    /// Momentum: [`MiFgsm`].
    MiFgsm(MiFgsm),
    /// Momentum that looks ahead: [`NiFgsm`].
    NiFgsm(NiFgsm),
    /// Diverse inputs: [`DiFgsm`].
    DiFgsm(DiFgsm),
    /// Blurred gradients: [`TiFgsm`].
    TiFgsm(TiFgsm),
    /// Step length by schedule: [`Apgd`].
    Apgd(Apgd),
    /// Adam: [`Padam`].
    Padam(Padam),
    /// The worst case over several losses: [`Strongest`].
    Strongest(Strongest),
    /// Random search by the objective: [`Square`].
    Square(Square),
    /// Random search by the mask alone: [`SquareMask`].
    SquareMask(SquareMask),
    /// An estimated gradient, by its sign: [`Nes`].
    Nes(Nes),
    /// An estimated gradient, by Adam: [`Spsa`].
    Spsa(Spsa),
    /// The control: [`Noise`].
    Noise(Noise),
    /// The smallest budget: [`SmallestEpsilon`].
    SmallestEpsilon(SmallestEpsilon),
    /// Short steps for the pixels that are still right: [`Dag`].
    Dag(Dag),
    /// Distance against success, weighed: [`Cw`].
    Cw(Cw),
    /// Low frequencies: [`Dct`].
    Dct(Dct),
    /// The smallest perturbation by masks alone: [`Boundary`].
    Boundary(Boundary),
    /// What happens to pictures by nature: [`Corruption`].
    Corruption(Corruption),
    /// The image as it is, the text changed: [`Prompt`].
    Prompt(Prompt),
    /// Some pixels, chosen freely: [`Patch`].
    Patch(Patch),
    /// A constraint for each pixel: [`AlmaProx`].
    AlmaProx(AlmaProx),
    /// Tokens replaced by gradient: [`HotFlip`].
    HotFlip(HotFlip),
    /// The image as it is, the prompt's embedding moved: [`PromptEmbedding`].
    PromptEmbedding(PromptEmbedding),
    /// Image and text in turns: [`Joint`].
    Joint(Joint),
    /// One perturbation for many images: [`Universal`].
    Universal(Universal),
    /// What no attack can do: [`SegCertify`].
    SegCertify(SegCertify),
}

impl AttackSpec {
    /// The method itself.
    pub fn attack(&self) -> &dyn Attack {
        match self {
            Self::Fgsm(fgsm) => fgsm,
            Self::Pgd(pgd) => pgd,
            Self::Bim(bim) => bim,
            Self::MiFgsm(mi) => mi,
            Self::NiFgsm(ni) => ni,
            Self::DiFgsm(di) => di,
            Self::TiFgsm(ti) => ti,
            Self::Apgd(apgd) => apgd,
            Self::Padam(padam) => padam,
            Self::Strongest(strongest) => strongest,
            Self::Square(square) => square,
            Self::SquareMask(square) => square,
            Self::Nes(nes) => nes,
            Self::Spsa(spsa) => spsa,
            Self::Noise(noise) => noise,
            Self::SmallestEpsilon(smallest) => smallest,
            Self::Dag(dag) => dag,
            Self::Cw(cw) => cw,
            Self::Dct(dct) => dct,
            Self::Boundary(boundary) => boundary,
            Self::Corruption(corruption) => corruption,
            Self::Prompt(prompt) => prompt,
            Self::Patch(patch) => patch,
            Self::AlmaProx(alma) => alma,
            Self::HotFlip(flip) => flip,
            Self::PromptEmbedding(embedding) => embedding,
            Self::Joint(joint) => joint,
            Self::Universal(universal) => universal,
            Self::SegCertify(certify) => certify,
        }
    }

    /// The pixels that a patch takes in an image of `frame` (width and height) of which `region` may change: no others
    /// change, and these count in no score. `None` for a method whose pixels all count.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] if it does not fit, or leaves nothing to score.
    pub fn placement(&self, frame: (usize, usize), region: Option<&Mask>) -> Result<Option<Mask>, AttackError> {
        match self {
            Self::Patch(patch) => patch.pixels(frame, region).map(Some),
            _ => Ok(None),
        }
    }

    /// The name used in requests and reports.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Fgsm(_) => "fgsm",
            Self::Pgd(_) => "pgd",
            Self::Bim(_) => "bim",
            Self::MiFgsm(_) => "mi_fgsm",
            Self::NiFgsm(_) => "ni_fgsm",
            Self::DiFgsm(_) => "di_fgsm",
            Self::TiFgsm(_) => "ti_fgsm",
            Self::Apgd(_) => "apgd",
            Self::Padam(_) => "padam",
            Self::Strongest(_) => "strongest",
            Self::Square(_) => "square",
            Self::SquareMask(_) => "square_mask",
            Self::Nes(_) => "nes",
            Self::Spsa(_) => "spsa",
            Self::Noise(_) => "noise",
            Self::SmallestEpsilon(_) => "smallest_epsilon",
            Self::Dag(_) => "dag",
            Self::Cw(_) => "cw",
            Self::Dct(_) => "dct",
            Self::Boundary(_) => "boundary",
            Self::Corruption(_) => "corruption",
            Self::Prompt(_) => "prompt",
            Self::Patch(_) => "patch",
            Self::AlmaProx(_) => "alma_prox",
            Self::HotFlip(_) => "hot_flip",
            Self::PromptEmbedding(_) => "prompt_embedding",
            Self::Joint(_) => "joint",
            Self::Universal(_) => "universal",
            Self::SegCertify(_) => "seg_certify",
        }
    }

    /// Refuses a budget in a norm that the method cannot keep.
    ///
    /// # Errors
    /// [`AttackError::Parameter`] with the name `norm`.
    pub fn check_norm(&self, norm: Norm) -> Result<(), AttackError> {
        let rule = match self.attack().norms() {
            norms if norms.contains(&norm) => return Ok(()),
            [Norm::L2] => "this method works in l2 only: give the budget in l2",
            _ => "this method works in linf only: give the budget in linf",
        };
        let value = if norm == Norm::L2 { "l2" } else { "linf" };
        Err(steps::refused("norm", value, rule))
    }

    /// Points that the attack visits, restarts included: the unit of progress. A method that may stop early visits at
    /// most as many.
    pub fn points(&self) -> u64 {
        let walks = |steps: usize, restarts: usize| (steps as u64).saturating_add(1).saturating_mul(restarts as u64);
        match self {
            Self::Fgsm(_) => 2,
            Self::Pgd(pgd) => walks(pgd.steps, pgd.restarts),
            Self::Bim(Bim { steps, .. })
            | Self::MiFgsm(MiFgsm { steps, .. })
            | Self::NiFgsm(NiFgsm { steps, .. })
            | Self::DiFgsm(DiFgsm { steps, .. })
            | Self::TiFgsm(TiFgsm { steps, .. })
            | Self::Padam(Padam { steps, .. }) => walks(*steps, 1),
            Self::Apgd(apgd) => apgd.points(),
            Self::Strongest(strongest) => strongest.points(),
            Self::Square(Square { queries, .. })
            | Self::SquareMask(SquareMask { queries, .. })
            | Self::Noise(Noise { queries, .. })
            | Self::Boundary(Boundary { queries, .. }) => *queries as u64,
            Self::Nes(nes) => nes.points(),
            Self::Spsa(spsa) => spsa.points(),
            Self::SmallestEpsilon(smallest) => smallest.points(),
            Self::Dag(Dag { steps, .. }) | Self::Dct(Dct { steps, .. }) => walks(*steps, 1),
            Self::Cw(cw) => cw.points(),
            Self::Corruption(corruption) => corruption.points() as u64,
            Self::Prompt(prompt) => prompt.points() as u64,
            Self::Patch(patch) => patch.points(),
            Self::AlmaProx(AlmaProx { steps, .. }) => walks(*steps, 1),
            Self::HotFlip(flip) => flip.points() as u64,
            Self::PromptEmbedding(embedding) => walks(embedding.steps, 1),
            Self::Joint(joint) => joint.points(),
            Self::Universal(_) => 1,
            Self::SegCertify(certify) => certify.points(),
        }
    }

    /// What tells two attacks of a method apart that have no epsilon, such as `gaussian_noise 3`, or that change more than
    /// the image; attacks that have it are not compared with others at the same epsilon.
    pub fn variant(&self) -> Option<String> {
        match self {
            Self::Corruption(Corruption { kind, severity }) => Some(format!("{kind} {}", severity.level())),
            Self::Patch(Patch { placement: Some(placement), .. }) => Some(placement.to_string()),
            Self::Prompt(Prompt { edits, .. }) | Self::Joint(Joint { edits, .. }) => Some(edits.to_string()),
            Self::HotFlip(HotFlip { flips, .. }) => Some(format!("flips {flips}")),
            Self::PromptEmbedding(PromptEmbedding { radius, .. }) => Some(format!("radius {radius}")),
            _ => None,
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
