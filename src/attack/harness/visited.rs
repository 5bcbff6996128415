//! A visited point in a checkpoint: what a method keeps of a point that it has asked about.

use candle_core::{Device, Tensor};

use super::problem::Problem;
use super::tracker::{At, Visited};
use crate::attack::AttackError;

impl Visited {
    /// The point, the logits, and a row of numbers, as a method gives them to [`Tracker::keep`](super::tracker::Tracker::keep).
    ///
    /// # Errors
    /// A device that failed.
    pub fn state(&self) -> Result<[Tensor; 3], AttackError> {
        // In f64 a loss of 32 bits and any count of steps are exact.
        let numbers = [f64::from(self.evaluation.loss), self.at.restart as f64, self.at.step as f64];
        Ok([self.x.clone(), self.evaluation.logits.clone(), Tensor::new(&numbers, &Device::Cpu)?])
    }

    /// What [`Self::state`] was taken of.
    ///
    /// # Errors
    /// Tensors of another kind.
    pub fn from_state([x, logits, numbers]: [Tensor; 3], problem: &Problem) -> Result<Self, AttackError> {
        let numbers = numbers.to_vec1::<f64>()?;
        let [loss, restart, step] = numbers[..] else {
            return Err(candle_core::Error::msg("a visited point is kept with three numbers").into());
        };
        let at = At { restart: restart as usize, step: step as usize };
        Ok(Self { at, x, text: None, evaluation: problem.score(loss as f32, &logits)? })
    }
}
