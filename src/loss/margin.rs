//! Scale-free margin: how far logits are on the wrong side, in units of their mean size.
//!
//! The difference-of-logits ratio of Croce and Hein 2020, arXiv 2003.01690, needs three classes. This is what is left
//! of it for two: unlike cross-entropy it does not vanish when a model multiplies its logits by a large number.

use candle_core::{Result, Tensor};

use super::pixel::image_mean;

/// Added to the mean size of the logits.
const SMALLEST: f64 = 1e-12;

/// Mean over all pixels of `-(2y - 1) z`, over the mean of `|z|`, through which no gradient flows; in [-1, 1].
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let scale = (image_mean(&logits.detach().abs()?)? + SMALLEST)?;
    let wrong = image_mean(&(logits * target.affine(-2., 1.)?)?)?;
    wrong / scale
}
