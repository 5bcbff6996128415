//! A detour over a smaller picture.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DefenceError, Transformation};
use crate::drawing::Draws;
use crate::model::Resize;

/// Made smaller and larger again, bilinear both times. It is linear, and its gradient exact. The size does not
/// change, so neither does any place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ResizeDefence)]
pub struct Rescale {
    /// How large the smaller picture is, as a share of the side: above 0 and below 1.
    #[schema(exclusive_minimum = 0, exclusive_maximum = 1)]
    pub scale: f64,
}

impl Default for Rescale {
    fn default() -> Self {
        Self { scale: 0.5 }
    }
}

impl Transformation for Rescale {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        DefenceError::unless(self.scale > 0. && self.scale < 1., "scale", self.scale, "use more than 0 and less than 1")
    }

    fn apply(&self, x: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        there_and_back(x, self.scale)
    }

    fn pull_back(&self, gradient: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        transposed(gradient, self.scale)
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// Down to `scale` and up again.
pub(super) fn there_and_back(x: &Tensor, scale: f64) -> Result<Tensor> {
    let (down, up) = detour(x, scale)?;
    up.forward(&down.forward(x)?)
}

/// The transpose of [`there_and_back`].
pub(super) fn transposed(gradient: &Tensor, scale: f64) -> Result<Tensor> {
    let (down, up) = detour(gradient, scale)?;
    down.pull_back(&up.pull_back(gradient)?)
}

fn detour(x: &Tensor, scale: f64) -> Result<(Resize, Resize)> {
    let (_, height, width) = x.dims3()?;
    let small = |side: usize| ((side as f64 * scale).round() as usize).clamp(1, side);
    let (large, small) = ((height, width), (small(height), small(width)));
    Ok((Resize::new(large, small, x.device())?, Resize::new(small, large, x.device())?))
}
