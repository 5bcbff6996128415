//! CosPGD's loss: cross-entropy weighted by how well each pixel's prediction is aligned with the target.
//!
//! Agnihotri, Jung and Keuper 2024 (ICML), arXiv 2302.02213. The prediction of one logit is that of the two classes
//! `(0, z)`, so its cosine to the target's class is `p / sqrt(p^2 + (1 - p)^2)`.

use candle_core::{Result, Tensor};

use super::pixel::{cross_entropy, image_mean};

/// Mean over all pixels of `w CE`: `w` is the cosine for a mask to be left and one minus the cosine for a mask to be
/// reached (`towards`). No gradient flows through `w`.
pub(super) fn value(logits: &Tensor, target: &Tensor, towards: bool) -> Result<Tensor> {
    let ce = cross_entropy(logits, target)?;
    let p = ce.detach().neg()?.exp()?;
    let length = (p.sqr()? + p.affine(-1., 1.)?.sqr()?)?.sqrt()?;
    let cosine = (p / length)?;
    let weights = if towards { cosine.affine(-1., 1.)? } else { cosine };
    image_mean(&(weights * ce)?)
}
