//! Soft Dice loss, as MONAI's `DiceLoss(sigmoid=True)` with its default smoothing.

use candle_core::{Result, Tensor};

use super::{image_sum, logit::sigmoid};

/// Added to numerator and denominator: two empty masks agree perfectly.
const SMOOTHING: f64 = 1e-5;

/// `1 - 2 |p t| / (|p| + |t|)` with the probabilities `p` of the logits.
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    of_probabilities(&sigmoid(logits)?, target)
}

/// The same for probabilities in [0, 1].
pub(super) fn of_probabilities(p: &Tensor, target: &Tensor) -> Result<Tensor> {
    let overlap = image_sum(&(p * target)?)?;
    let sizes = (image_sum(p)? + image_sum(target)?)?;
    ((overlap * 2.)? + SMOOTHING)?.div(&(sizes + SMOOTHING)?)?.affine(-1., 1.)
}
