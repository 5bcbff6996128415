//! Mean binary cross-entropy with logits.

use candle_core::{D, Result, Tensor};

use super::{image_sum, logit::softplus};

/// Mean over the pixels of `-ln` of the probability given to the target's class.
///
/// For a target of 0 or 1 that is `softplus(z)` outside and `softplus(-z)` inside the target. Writing it so, and
/// not as `softplus(z) - z * target`, keeps the gradient of confidently correct pixels.
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let away = target.affine(-2., 1.)?;
    let pixels = logits.dim(D::Minus1)? * logits.dim(D::Minus2)?;
    image_sum(&softplus(&(logits * away)?)?)? / pixels as f64
}
