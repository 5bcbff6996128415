//! Noise: small changes drown in it.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DefenceError, Transformation};
use crate::drawing::Draws;

/// Normal noise added, several times; the answers are averaged. The gradient of a draw is exact. Cohen, Rosenfeld and
/// Kolter 2019, arXiv 1902.02918, without the certificate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = SmoothingDefence)]
pub struct Smoothing {
    /// Standard deviation of the noise, as a share of full scale: above 0 and at most 1.
    #[schema(exclusive_minimum = 0, maximum = 1)]
    pub deviation: f64,
    /// Draws for each answer.
    #[schema(minimum = 2, maximum = 64)]
    pub samples: usize,
}

impl Default for Smoothing {
    fn default() -> Self {
        Self { deviation: 0.1, samples: 16 }
    }
}

impl Transformation for Smoothing {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        let between = self.deviation > 0. && self.deviation <= 1.;
        DefenceError::unless(between, "deviation", self.deviation, "use more than 0 and at most 1")?;
        DefenceError::unless((2..=64).contains(&self.samples), "samples", self.samples, "use 2 to 64")
    }

    fn apply(&self, x: &Tensor, draws: &mut Draws) -> Result<Tensor> {
        let deviation = self.deviation as f32;
        let noise: Vec<f32> = (0..x.elem_count()).map(|_| deviation * draws.gaussian()).collect();
        x + Tensor::from_vec(noise, x.shape(), x.device())?
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn samples(&self) -> usize {
        self.samples
    }
}
