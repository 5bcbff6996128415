//! What the model says about one image, scored.

use candle_core::Tensor;

use super::problem::Problem;
use crate::attack::{Aim, AttackError};
use crate::imaging::Mask;
use crate::metric::{Confusion, MetricError};
use crate::model::{Resize, upsampled_mask};

/// The model's answer to one image and its scores.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The objective; attacks raise it.
    pub loss: f32,
    /// DSC of the mask against the reference.
    pub dsc: f64,
    /// DSC of the mask against the target of a targeted attack.
    pub target_dsc: Option<f64>,
    /// The mask at the size of the reference: upsampled logits above 0.
    pub mask: Mask,
    /// The logits `[h, w]` at the network's own output size.
    pub logits: Tensor,
}

/// What answers are compared with.
#[derive(Debug, Clone, Copy)]
pub struct Judges<'a> {
    /// What the model should have answered.
    pub reference: &'a Mask,
    /// The mask to leave or to reach.
    pub aim: &'a Aim,
    /// Pixels that do not count.
    pub ignored: Option<&'a Mask>,
}

impl Evaluation {
    /// Scores an answer of the oracle at the size of the reference, to which `upsampling` leads.
    ///
    /// # Errors
    /// [`AttackError::Loss`] for a loss that is not finite.
    pub fn new(
        loss: f32,
        logits: &Tensor,
        upsampling: &Resize,
        Judges { reference, aim, ignored }: Judges,
    ) -> Result<Self, AttackError> {
        if !loss.is_finite() {
            return Err(AttackError::Loss(loss));
        }
        let mask = upsampled_mask(upsampling, logits)?;
        let dsc = |other: &Mask| -> Result<f64, MetricError> {
            Ok(match ignored {
                None => Confusion::between(&mask, other)?.dsc(),
                Some(ignored) => Confusion::outside(ignored, (&mask, other))?.dsc(),
            })
        };
        let target_dsc = if aim.towards { Some(dsc(&aim.mask)?) } else { None };
        let dsc = dsc(reference)?;
        Ok(Self { loss, dsc, target_dsc, mask, logits: logits.clone() })
    }

    /// What an attacker knows who sees the mask only: the mask in the place of the logits, its Dice loss in that of the
    /// objective.
    ///
    /// # Errors
    /// A device that failed.
    pub fn by_mask(self) -> Result<Self, AttackError> {
        let loss = self.target_dsc.map_or(1. - self.dsc, |dsc| dsc - 1.);
        let logits = self.mask.to_tensor(self.logits.device())?.affine(2., -1.)?;
        Ok(Self { loss: loss as f32, logits, ..self })
    }

    /// Whether an attacker prefers this answer: a higher DSC to the target if there is one, otherwise
    /// a lower DSC; between equals, [`Problem::tracked`] decides.
    ///
    /// # Errors
    /// A device that failed.
    pub fn beats(&self, other: &Self, problem: &Problem) -> Result<bool, AttackError> {
        if self.harm() == other.harm() {
            return Ok(problem.tracked(&self.logits)? > problem.tracked(&other.logits)?);
        }
        Ok(self.harm() > other.harm())
    }

    /// What [`Self::beats`] compares, the first number before the second: for a list in order.
    ///
    /// # Errors
    /// A device that failed.
    pub fn rank(&self, problem: &Problem) -> Result<(f64, f32), AttackError> {
        Ok((self.harm(), problem.tracked(&self.logits)?))
    }

    fn harm(&self) -> f64 {
        self.target_dsc.unwrap_or(-self.dsc)
    }
}
