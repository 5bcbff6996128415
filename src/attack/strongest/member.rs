//! One attack of an ensemble, and the loss it climbs.

use std::fmt;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::attack::{Apgd, Attack, AttackError, Bim, Fgsm, MiFgsm, Padam, Pgd, steps};
use crate::loss::Loss;
use crate::oracle::{Answer, Measure, Oracle, OracleError, Text};

/// A member: a method as it is by itself but for the number of its steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The method.
    pub method: MemberMethod,
    /// The loss whose gradient it follows; that of the request if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub loss: Option<Loss>,
    /// Whether `apgd` spends its first steps in larger budgets; no other method has it.
    #[serde(default)]
    pub radius_reduction: bool,
}

/// The methods that can be members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberMethod {
    /// [`Fgsm`].
    Fgsm,
    /// [`Bim`].
    Bim,
    /// [`MiFgsm`].
    MiFgsm,
    /// [`Pgd`].
    Pgd,
    /// [`Apgd`].
    Apgd,
    /// [`Padam`].
    Padam,
}

impl Member {
    /// The method with `steps` steps; which of its restarts it runs is the tracker's to say.
    pub(super) fn attack(&self, steps: usize) -> Box<dyn Attack> {
        match self.method {
            MemberMethod::Fgsm => Box::new(Fgsm {}),
            MemberMethod::Bim => Box::new(Bim { steps, ..Bim::default() }),
            MemberMethod::MiFgsm => Box::new(MiFgsm { steps, ..MiFgsm::default() }),
            MemberMethod::Pgd => Box::new(Pgd { steps, ..Pgd::default() }),
            MemberMethod::Apgd => Box::new(Apgd { steps, radius_reduction: self.radius_reduction, ..Apgd::default() }),
            MemberMethod::Padam => Box::new(Padam { steps, ..Padam::default() }),
        }
    }

    /// Refuses a number of steps with which the method makes no sense.
    pub(super) fn check(&self, steps: usize) -> Result<(), AttackError> {
        if self.radius_reduction && self.method != MemberMethod::Apgd {
            return Err(steps::refused("members", self, "only apgd has a radius reduction: leave it out"));
        }
        self.attack(steps).check()
    }

    /// Whether another start is another attack.
    pub(super) fn starts_at_random(&self) -> bool {
        matches!(self.method, MemberMethod::Pgd | MemberMethod::Apgd)
    }

    /// Points that it visits from one start.
    pub(super) fn points(&self, steps: usize) -> u64 {
        self.attack(steps).points()
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            MemberMethod::Fgsm => "fgsm",
            MemberMethod::Bim => "bim",
            MemberMethod::MiFgsm => "mi_fgsm",
            MemberMethod::Pgd => "pgd",
            MemberMethod::Apgd => "apgd",
            MemberMethod::Padam => "padam",
        };
        f.write_str(method)?;
        if let Some(loss) = self.loss {
            write!(f, " {loss}")?;
        }
        f.write_str(if self.radius_reduction { " from larger budgets" } else { "" })
    }
}

/// An oracle whose gradients are those of another loss. Questions without a gradient keep the objective: they are
/// about results, which all members have to be compared by alike.
pub(super) struct WithLoss<'o> {
    pub(super) oracle: &'o mut dyn Oracle,
    pub(super) loss: Option<Loss>,
}

impl Oracle for WithLoss<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.oracle.loss_by(x, measure)
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.oracle.gradient_by(x, &Measure { loss: measure.loss.or(self.loss), ..measure.clone() })
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        self.oracle.logits(x)
    }

    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.oracle.loss_under(text, x, measure)
    }
}
