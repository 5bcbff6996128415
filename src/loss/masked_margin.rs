//! Margin of the pixels that are still to be won: the hinge `max(m, 0)` of minimal perturbations.
//!
//! With the margin `m = (2y - 1) z` it is what Xie et al. 2017 (arXiv 1703.08603) sum over the active pixels, and the
//! penalty of Carlini and Wagner 2017 (arXiv 1608.04644) at confidence 0. It is 0 once every pixel is won.

use candle_core::{Result, Tensor};

use super::pixel::{contested, image_mean};

/// Mean over all pixels of `-c m`, `c` as in [masked cross-entropy](super::masked_ce).
pub(super) fn value(logits: &Tensor, target: &Tensor, towards: bool) -> Result<Tensor> {
    image_mean(&(contested(logits, target, towards)? * (logits * target.affine(-2., 1.)?)?)?)
}
