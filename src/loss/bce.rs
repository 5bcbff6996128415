//! Mean binary cross-entropy with logits.

use candle_core::{Result, Tensor};

use super::pixel::{cross_entropy, image_mean};

/// Mean over the pixels of `-ln` of the probability given to the target's class.
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    image_mean(&cross_entropy(logits, target)?)
}
