//! Functions of logits that stay finite and keep their gradient however large the logit.

use candle_core::{Result, Tensor};

/// `ln(1 + e^x)`. Its gradient is the sigmoid, with full relative precision where that is tiny.
pub(super) fn softplus(x: &Tensor) -> Result<Tensor> {
    let tail = x.abs()?.neg()?.exp()?;
    x.relu()? + (tail + 1.)?.log()?
}

/// `1 / (1 + e^-z)` as `exp(-softplus(-z))`: unlike the textbook formula it neither overflows nor loses the
/// gradient where the probability rounds to one.
pub(super) fn sigmoid(z: &Tensor) -> Result<Tensor> {
    softplus(&z.neg()?)?.neg()?.exp()
}
