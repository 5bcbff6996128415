//! Losses on logits: one file per loss.
//!
//! Each is a plain tensor expression on logits `[.., h, w]` and a 0/1 target of the same shape, and
//! answers one value per leading index, so a batch of images costs as many operations as one image.
//! They share functions that keep a gradient where a naive formula rounds it to zero (`logit.rs`, `pixel.rs`):
//! an attack on a confident model lives exactly there. A single logit `z` counts as the two classes `(0, z)`, so
//! losses that were published for many classes are meant literally. What a loss knows of the attack that uses it
//! is a [`Term`].

mod balanced_masked_ce;
mod bce;
mod boundary_ce;
mod cos_pgd;
mod counted;
mod dice_ce;
mod dice_ce_paper;
mod jsd;
mod logit;
mod margin;
mod masked_ce;
mod masked_margin;
mod pixel;
mod seg_pgd;
mod soft_dice;
mod term;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use candle_core::{D, Tensor};
pub use counted::Counted;
use serde::{Deserialize, Serialize};
pub use term::{Progress, Term};
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
    /// SegPGD: cross-entropy whose weight moves from the pixels still to be won to all alike over the steps.
    SegPgd,
    /// CosPGD: cross-entropy weighted by the alignment of prediction and target.
    CosPgd,
    /// Cross-entropy of the pixels still to be won.
    MaskedCe,
    /// The same with both classes of the target counting alike.
    BalancedMaskedCe,
    /// Jensen-Shannon divergence between prediction and target.
    Jsd,
    /// Minus the mean margin in units of the logits' mean size.
    Margin,
    /// Minus the margin of the pixels still to be won.
    MaskedMargin,
    /// Cross-entropy weighted towards the target's outline.
    BoundaryCe,
}

impl Loss {
    /// All losses, in the order shown to users.
    pub const ALL: [Self; 12] = [
        Self::DiceCe,
        Self::DiceCePaper,
        Self::Bce,
        Self::SoftDice,
        Self::SegPgd,
        Self::CosPgd,
        Self::MaskedCe,
        Self::BalancedMaskedCe,
        Self::Jsd,
        Self::Margin,
        Self::MaskedMargin,
        Self::BoundaryCe,
    ];

    /// The name used in requests and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::DiceCe => "dice_ce",
            Self::DiceCePaper => "dice_ce_paper",
            Self::Bce => "bce",
            Self::SoftDice => "soft_dice",
            Self::SegPgd => "seg_pgd",
            Self::CosPgd => "cos_pgd",
            Self::MaskedCe => "masked_ce",
            Self::BalancedMaskedCe => "balanced_masked_ce",
            Self::Jsd => "jsd",
            Self::Margin => "margin",
            Self::MaskedMargin => "masked_margin",
            Self::BoundaryCe => "boundary_ce",
        }
    }

    /// Whether a pixel's weight depends on what the model says about it, and with it on whether the target is to be
    /// left or reached. Such a loss may fall while an attack succeeds: its values at two points are no comparison.
    pub fn chooses_pixels(self) -> bool {
        matches!(self, Self::SegPgd | Self::CosPgd | Self::MaskedCe | Self::BalancedMaskedCe | Self::MaskedMargin)
    }

    /// [`Term::value`] for an untargeted attack at its end.
    ///
    /// # Errors
    /// Shapes or dtypes that differ.
    pub fn value(self, logits: &Tensor, target: &Tensor) -> candle_core::Result<Tensor> {
        Term::from(self).value(logits, target)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is none of [`Loss::ALL`].
#[derive(Debug, thiserror::Error)]
#[error("unknown loss {0:?}: use one of {names}", names = Loss::ALL.map(Loss::name).join(", "))]
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

/// [`Term::gradient`] for an untargeted attack at its end.
///
/// # Errors
/// [`LossError::NoGradient`] rather than a silent zero; shapes or dtypes that differ.
pub fn gradient(loss: Loss, logits: &Tensor, target: &Tensor) -> Result<(Tensor, Tensor), LossError> {
    Term::from(loss).gradient(logits, target)
}

/// Sum over an image, rows first: shorter sums round less.
fn image_sum(x: &Tensor) -> candle_core::Result<Tensor> {
    x.sum(D::Minus1)?.sum(D::Minus1)
}
