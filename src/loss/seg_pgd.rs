//! SegPGD's loss: cross-entropy that first cares for the pixels still to be won, later for all alike.
//!
//! Gu et al. 2022 (ECCV), arXiv 2207.12391, equation 4 and its schedule `lambda = t / 2T`.

use candle_core::{Result, Tensor};

use super::Progress;
use super::pixel::{contested, cross_entropy, image_mean};

/// Mean over all pixels of `(1 - lambda) CE` where a pixel is still to be won and `lambda CE` elsewhere, with
/// `lambda` half of the attack's progress.
pub(super) fn value(logits: &Tensor, target: &Tensor, towards: bool, progress: Progress) -> Result<Tensor> {
    let lambda = progress.share() / 2.;
    let weights = contested(logits, target, towards)?.affine(1. - 2. * lambda, lambda)?;
    image_mean(&(weights * cross_entropy(logits, target)?)?)
}
