//! The end of a restart: its points become files, and the best file of all restarts is kept.

use candle_core::Tensor;

use super::{Label, Saved, Tracker, Visited};
use crate::attack::AttackError;
use crate::oracle::{Measure, Oracle, text};

impl Tracker<'_> {
    /// Ends a restart at a point that was asked about before, without asking again; where the best point counts, it
    /// ends at that one. Writes it as a file and asks about the file.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn settle(&mut self, end: Visited, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let end = self.round.get_or_insert(end).clone();
        if self.better(self.best.as_ref(), &end)?.is_none() {
            self.best = Some(end.clone());
        }
        self.file(&end, &end, oracle)
    }

    /// Asks the oracle about the last point of a restart and records it. Writes the best point of the restart and the
    /// last one as files, asks about these too, and keeps the best file of all restarts.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn finish(&mut self, x: &Tensor, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        self.finish_by(x, &Measure::default(), oracle)
    }

    /// [`Self::finish`] with another measure for the last point; a member of an ensemble has its loss. Files are
    /// measured by the objective itself.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_by(&mut self, x: &Tensor, measure: &Measure, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let loss = measure.loss.or_else(|| self.role.as_ref()?.loss);
        let under = self.under.as_ref().map(|under| &under.text);
        let (loss, logits) = text::loss(oracle, under, x, &Measure { loss, ..measure.clone() })?;
        let last = self.visited(x, loss, &logits)?;
        let best = self.better(self.round.as_ref(), &last)?.unwrap_or(&last).clone();
        // Recorded once all questions are answered: who is stopped between two of them begins with the first again.
        self.file(&best, &last, oracle)?;
        self.enter(last, Label::default())
    }

    /// Writes a restart's points as files and keeps the best file of all restarts.
    fn file(&mut self, best: &Visited, last: &Visited, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let file = Saved::of(best, last, (self.problem, &self.preference), oracle)?;
        let first = match &self.file {
            None => true,
            Some(before) => file.evaluation.beats(&before.evaluation, self.problem)?,
        };
        if first {
            self.file = Some(file);
        }
        Ok(())
    }
}
