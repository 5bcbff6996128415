//! Questions without gradients, asked and recorded at once.

use candle_core::Tensor;

use super::{Label, Tracker, Visited};
use crate::attack::AttackError;
use crate::oracle::Oracle;

impl Tracker<'_> {
    /// Asks for the objective at a point, and leaves it to the caller what it counts as.
    pub(super) fn asked_about(&self, x: &Tensor, oracle: &mut dyn Oracle) -> Result<Visited, AttackError> {
        let (loss, logits) = oracle.loss(x)?;
        self.visited(x, loss, &logits)
    }

    /// Asks for the objective at a point on the way, without a gradient, and records it.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn score(&mut self, x: &Tensor, oracle: &mut dyn Oracle) -> Result<Visited, AttackError> {
        let visited = self.asked_about(x, oracle)?;
        self.record(visited.clone(), Label::default())?;
        Ok(visited)
    }

    /// Asks for the mask at a point on the way and for nothing else, and records it; the Dice loss of the mask stands
    /// for the objective.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn decide(&mut self, x: &Tensor, oracle: &mut dyn Oracle) -> Result<Visited, AttackError> {
        let evaluation = self.problem.decide(&oracle.logits(x)?)?;
        let visited = Visited { at: self.now, x: x.clone(), text: None, evaluation };
        self.record(visited.clone(), Label::default())?;
        Ok(visited)
    }
}
