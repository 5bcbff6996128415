//! The median of a neighbourhood: what differs from all around it disappears.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DefenceError, Transformation, planes};
use crate::drawing::Draws;

/// Every value replaced by the median of a square around it, borders repeated. Xu, Evans and Qi 2018, arXiv 1704.01155.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = MedianDefence)]
pub struct Median {
    /// Side of the square in pixels, odd.
    #[schema(minimum = 3, maximum = 9)]
    pub size: usize,
}

impl Default for Median {
    fn default() -> Self {
        Self { size: 3 }
    }
}

impl Transformation for Median {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        let kept = (3..=9).contains(&self.size) && self.size % 2 == 1;
        DefenceError::unless(kept, "size", self.size, "use 3, 5, 7 or 9")
    }

    fn apply(&self, x: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        planes::each(x, |plane, size| *plane = medians(plane, size, self.size / 2))
    }

    fn is_exact(&self) -> bool {
        false
    }
}

fn medians(plane: &[f32], (width, height): (usize, usize), reach: usize) -> Vec<f32> {
    let around = |at: usize, step: usize, last: usize| (at + step).saturating_sub(reach).min(last);
    let mut square = Vec::new();
    let mut median = |x: usize, y: usize| {
        square.clear();
        for row in (0..=2 * reach).map(|step| around(y, step, height - 1)) {
            square.extend((0..=2 * reach).map(|step| plane[row * width + around(x, step, width - 1)]));
        }
        let middle = square.len() / 2;
        *square.select_nth_unstable_by(middle, f32::total_cmp).1
    };
    (0..plane.len()).map(|at| median(at % width, at / width)).collect()
}
