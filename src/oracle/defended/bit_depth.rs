//! Fewer levels: changes below half a level are rounded away.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DefenceError, Transformation};
use crate::drawing::Draws;

/// Every value rounded to one of `2^bits` levels. Xu, Evans and Qi 2018, arXiv 1704.01155.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = BitDepthDefence)]
pub struct BitDepth {
    /// Bits for each channel.
    #[schema(minimum = 1, maximum = 7)]
    pub bits: u8,
}

impl Default for BitDepth {
    fn default() -> Self {
        Self { bits: 4 }
    }
}

impl Transformation for BitDepth {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        DefenceError::unless((1..=7).contains(&self.bits), "bits", self.bits, "use 1 to 7: files have 8")
    }

    fn apply(&self, x: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        let highest = f64::from((1u32 << self.bits) - 1);
        ((x.clamp(0., 1.)? * highest)? + 0.5)?.floor()? / highest
    }

    fn is_exact(&self) -> bool {
        false
    }
}
