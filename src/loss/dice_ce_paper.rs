//! The loss that the code of arXiv 2505.02971 attacks and trains with.
//!
//! It hands probabilities to a `DiceCELoss` whose cross-entropy expects logits, so that term sees
//! `sigmoid(sigmoid(z))`: it is never below ln(1 + 1/e) inside and ln 2 outside the target.

use candle_core::{Result, Tensor};

use super::{bce, dice_ce::DICE_WEIGHT, logit::sigmoid, soft_dice};

/// `1.5 * soft Dice(p) + binary cross-entropy with p as its logits`, `p` being the probabilities.
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let p = sigmoid(logits)?;
    (soft_dice::of_probabilities(&p, target)? * DICE_WEIGHT)? + bce::value(&p, target)?
}
