//! Cross-entropy that looks at the target's outline.
//!
//! Clinical measures such as HD95 and the surface DSC depend on the outline alone. As in Ronneberger et al. 2015
//! (U-Net, arXiv 1505.04597, equation 2) pixels near it weigh up to eleven times as much as others; "near" is told by a
//! blurred target rather than by distances.

use candle_core::{Result, Tensor};

use super::pixel::{cross_entropy, image_mean};
use crate::nn::{Frame, Gaussian};

/// What the outline weighs more than the rest: U-Net's `w0`.
const OUTLINE: f64 = 10.;

/// Reach of the outline in pixels of the network's output: U-Net's five and a little.
const RADIUS: usize = 7;

/// Mean over all pixels of `w CE`, over the mean of `w = 1 + 10 * 4 b (1 - b)`, `b` being the blurred target: 1/2 on a
/// straight outline, 0 or 1 away from it. For a target without an outline it is binary cross-entropy.
pub(super) fn value(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    let b = Gaussian::within(RADIUS).blur(&target.detach(), Frame::Edge)?;
    let weights = (&b * b.affine(-1., 1.)?)?.affine(4. * OUTLINE, 1.)?;
    image_mean(&(&weights * cross_entropy(logits, target)?)?)? / image_mean(&weights)?
}
