//! Cross-entropy of the pixels that are still to be won.
//!
//! A pixel that is wrong already can only be made more wrong, which no overlap score notices; left in the sum, such
//! pixels outshout the others. Croce, Singh and Hein 2024 (ECCV), arXiv 2306.12941, "masked cross-entropy".

use candle_core::{Result, Tensor};

use super::pixel::{contested, cross_entropy, image_mean};

/// Mean over all pixels of `c CE`, `c` being 1 where the pixel still agrees with a mask to be left, or does not yet
/// agree with a mask to be reached (`towards`).
pub(super) fn value(logits: &Tensor, target: &Tensor, towards: bool) -> Result<Tensor> {
    image_mean(&(contested(logits, target, towards)? * cross_entropy(logits, target)?)?)
}
