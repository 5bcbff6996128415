//! Jensen-Shannon divergence between prediction and target: bounded, so that pixels that are wrong already fade.
//!
//! Croce, Singh and Hein 2024 (ECCV), arXiv 2306.12941.

use std::f64::consts::LN_2;

use candle_core::{Result, Tensor};

use super::pixel::{cross_entropy, image_mean};

/// Mean over all pixels of `JS(prediction, target)`, in [0, ln 2].
///
/// With the probability `p` of the target's class and its cross-entropy `a = -ln p`, the two-class divergence is
/// `ln 2 - (p a + (1 + p) ln(1 + p)) / 2`: every term is finite, however large the logit.
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let a = cross_entropy(logits, target)?;
    let p = a.neg()?.exp()?;
    let above = (&p + 1.)?;
    let entropies = ((p * a)? + (&above * above.log()?)?)?;
    image_mean(&entropies.affine(-0.5, LN_2)?)
}
