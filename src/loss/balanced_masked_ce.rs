//! Masked cross-entropy in which both classes of the target count the same.
//!
//! Without weights a small lesion is a few hundred pixels against a hundred thousand of background. Croce, Singh and
//! Hein 2024 (ECCV), arXiv 2306.12941, take the weights from the frequencies of a data set; here they are those of
//! the one image, so that a result does not depend on other images.

use candle_core::{Result, Tensor};

use super::pixel::{class_weights, contested, cross_entropy, image_mean};

/// Mean over all pixels of `w c CE`: `c` as in masked cross-entropy, `w = pixels / (2 pixels of the class)`. For a
/// target without one of the classes it is masked cross-entropy.
pub(super) fn value(logits: &Tensor, target: &Tensor, towards: bool) -> Result<Tensor> {
    let weights = (class_weights(target)? * contested(logits, target, towards)?)?;
    image_mean(&(weights * cross_entropy(logits, target)?)?)
}
