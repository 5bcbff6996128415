//! Random sizes: an attack cannot know which one the model will see.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::resize::{there_and_back, transposed};
use super::{DefenceError, Transformation};
use crate::drawing::Draws;

/// Made smaller by a random factor and larger again, several times; the answers are averaged.
///
/// Xie et al. 2018, arXiv 1711.01991, pad the smaller picture at a random place. That moves the structure, which does
/// not matter to a class and does to a mask; here every place stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = RandomResizeDefence)]
pub struct RandomResize {
    /// The smallest factor, above 0 and below 1; the largest is 1.
    #[schema(exclusive_minimum = 0, exclusive_maximum = 1)]
    pub lowest: f64,
    /// Draws for each answer.
    #[schema(minimum = 2, maximum = 64)]
    pub samples: usize,
}

impl Default for RandomResize {
    fn default() -> Self {
        Self { lowest: 0.4, samples: 8 }
    }
}

impl RandomResize {
    fn scale(&self, draws: &mut Draws) -> f64 {
        f64::from(draws.range(self.lowest as f32, 1.))
    }
}

impl Transformation for RandomResize {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        let between = self.lowest > 0. && self.lowest < 1.;
        DefenceError::unless(between, "lowest", self.lowest, "use more than 0 and less than 1")?;
        DefenceError::unless((2..=64).contains(&self.samples), "samples", self.samples, "use 2 to 64")
    }

    fn apply(&self, x: &Tensor, draws: &mut Draws) -> Result<Tensor> {
        there_and_back(x, self.scale(draws))
    }

    fn pull_back(&self, gradient: &Tensor, draws: &mut Draws) -> Result<Tensor> {
        transposed(gradient, self.scale(draws))
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn samples(&self) -> usize {
        self.samples
    }
}
