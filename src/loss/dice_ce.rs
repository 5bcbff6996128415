//! The usual training loss of medical segmentation, as MONAI's
//! `DiceCELoss(sigmoid=True, lambda_dice=1.5, lambda_ce=1.0)`.

use candle_core::{Result, Tensor};

use super::{bce, soft_dice};

/// Weight of the Dice term; the cross-entropy has weight one.
pub(super) const DICE_WEIGHT: f64 = 1.5;

/// `1.5 * soft Dice + binary cross-entropy`.
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    (soft_dice::value(logits, target)? * DICE_WEIGHT)? + bce::value(logits, target)?
}
