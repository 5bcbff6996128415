//! Smoothing: high frequencies are taken away, and with them much of a perturbation.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DefenceError, Transformation, planes};
use crate::drawing::Draws;
use crate::imaging::filter::NormalKernel;

/// Smoothed with a normal kernel. It is linear, and its gradient exact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = GaussianDefence)]
pub struct Gaussian {
    /// Standard deviation of the kernel in pixels, above 0.
    #[schema(exclusive_minimum = 0, maximum = 20)]
    pub deviation: f64,
}

impl Default for Gaussian {
    fn default() -> Self {
        Self { deviation: 1. }
    }
}

impl Transformation for Gaussian {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        let kept = self.deviation > 0. && self.deviation <= 20.;
        DefenceError::unless(kept, "deviation", self.deviation, "use more than 0 and at most 20 pixels")
    }

    fn apply(&self, x: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        let kernel = NormalKernel::new(self.deviation as f32);
        planes::each(x, |plane, size| kernel.smooth(plane, size))
    }

    fn pull_back(&self, gradient: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        let kernel = NormalKernel::new(self.deviation as f32);
        planes::each(gradient, |plane, size| kernel.pull_back(plane, size))
    }

    fn is_exact(&self) -> bool {
        true
    }
}
