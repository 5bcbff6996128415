//! What losses on single pixels share: cross-entropy, agreement with the target, class weights.

use candle_core::{D, Result, Tensor};

use super::{image_sum, logit::softplus};

/// `-ln` of the probability given to the target's class, per pixel.
///
/// For a target of 0 or 1 that is `softplus(z)` outside and `softplus(-z)` inside the target. Writing it so, and
/// not as `softplus(z) - z * target`, keeps the gradient of confidently correct pixels.
pub(super) fn cross_entropy(logits: &Tensor, target: &Tensor) -> Result<Tensor> {
    softplus(&(logits * target.affine(-2., 1.)?)?)
}

/// 1 where an attack has something left to win, 0 elsewhere: pixels that still agree with a mask to be left, pixels
/// that do not yet agree with a mask to be reached (`towards`). No gradient flows through it.
pub(super) fn contested(logits: &Tensor, target: &Tensor, towards: bool) -> Result<Tensor> {
    let (said, wanted) = (logits.detach().gt(0f64)?, target.gt(0.5f64)?);
    let contested = if towards { said.ne(&wanted)? } else { said.eq(&wanted)? };
    contested.to_dtype(logits.dtype())
}

/// Weights that let both classes of the target count the same, whatever their sizes: `pixels / (2 class size)`.
/// 1 everywhere if one class is absent.
pub(super) fn class_weights(target: &Tensor) -> Result<Tensor> {
    let inside = image_sum(target)?;
    let outside = inside.affine(-1., pixels(target)?)?;
    let both = (inside.gt(0.5f64)?.to_dtype(target.dtype())? * outside.gt(0.5f64)?.to_dtype(target.dtype())?)?;
    let half = pixels(target)? / 2.;
    let weight = |size: &Tensor| -> Result<Tensor> {
        let weight = ((size.maximum(1f64)?.recip()? * half)? - 1.)?;
        ((weight * &both)? + 1.)?.unsqueeze(D::Minus1)?.unsqueeze(D::Minus1)
    };
    target.broadcast_mul(&weight(&inside)?)? + target.affine(-1., 1.)?.broadcast_mul(&weight(&outside)?)?
}

/// Mean over each image.
pub(super) fn image_mean(x: &Tensor) -> Result<Tensor> {
    image_sum(x)? / pixels(x)?
}

fn pixels(x: &Tensor) -> Result<f64> {
    Ok((x.dim(D::Minus1)? * x.dim(D::Minus2)?) as f64)
}
