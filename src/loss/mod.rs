//! Losses on logits: one file per loss.
//!
//! Each is a plain tensor expression on logits `[.., h, w]` and a 0/1 target of the same shape, and
//! answers one value per leading index, so a batch of images costs as many operations as one image.
//! They share two functions that keep a gradient where a naive formula rounds it to zero
//! (`logit.rs`): an attack on a confident model lives exactly there.

mod bce;
mod dice_ce;
mod dice_ce_paper;
mod logit;
mod soft_dice;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use candle_core::{D, Tensor, Var};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A loss on logits; high means far from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// `1.5 * soft Dice + 1.0 * binary cross-entropy`, both on logits.
    DiceCe,
    /// The same as evaluated by the code of arXiv 2505.02971, which applies the sigmoid twice.
    DiceCePaper,
    /// Mean binary cross-entropy with logits.
    Bce,
    /// One minus the soft Dice coefficient of the probabilities.
    SoftDice,
}

impl Loss {
    /// All losses, in the order shown to users.
    pub const ALL: [Self; 4] = [Self::DiceCe, Self::DiceCePaper, Self::Bce, Self::SoftDice];

    /// The name used in requests and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiceCe => "dice_ce",
            Self::DiceCePaper => "dice_ce_paper",
            Self::Bce => "bce",
            Self::SoftDice => "soft_dice",
        }
    }

    /// One value per image: logits and `target` (0 or 1) are `[.., h, w]` of one dtype (f32 or f64),
    /// the answer is `[..]`, a scalar for `[h, w]`. Differentiable in the logits.
    ///
    /// # Errors
    /// Shapes or dtypes that differ.
    pub fn value(self, logits: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        match self {
            Self::DiceCe => dice_ce::value(logits, target),
            Self::DiceCePaper => dice_ce_paper::value(logits, target),
            Self::Bce => bce::value(logits, target),
            Self::SoftDice => soft_dice::value(logits, target),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`Loss::ALL`].
#[derive(Debug, thiserror::Error)]
#[error("unknown loss {0:?}: use dice_ce, dice_ce_paper, bce or soft_dice")]
pub struct UnknownLoss(String);

impl FromStr for Loss {
    type Err = UnknownLoss;

    fn from_str(name: &str) -> Result<Self, UnknownLoss> {
        Self::ALL.into_iter().find(|loss| loss.name() == name).ok_or_else(|| UnknownLoss(name.into()))
    }
}

/// Why a loss has no gradient.
#[derive(Debug, thiserror::Error)]
pub enum LossError {
    /// An operation in the loss stopped the gradient.
    #[error("no gradient of loss {0} reached the logits")]
    NoGradient(Loss),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The values `[..]` of `loss` at `logits` `[.., h, w]`, and each value's gradient with respect to its own
/// logits, `[.., h, w]`. Neither is connected to the graph of `logits`.
///
/// # Errors
/// [`LossError::NoGradient`] rather than a silent zero; shapes or dtypes that differ.
pub fn gradient(loss: Loss, logits: &Tensor, target: &Tensor) -> Result<(Tensor, Tensor), LossError> {
    let logits = Var::from_tensor(&logits.detach())?;
    let values = loss.value(&logits, target)?;
    // `backward` starts from ones: as each value depends on its own logits only, nothing is mixed.
    let gradient = values.backward()?.remove(&logits).ok_or(LossError::NoGradient(loss))?;
    Ok((values.detach(), gradient))
}

/// Sum over an image, rows first: shorter sums round less.
fn image_sum(x: &Tensor) -> candle_core::Result<Tensor> {
    x.sum(D::Minus1)?.sum(D::Minus1)
}
