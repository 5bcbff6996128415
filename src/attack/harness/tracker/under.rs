//! Points that are visited under another text than the problem's prompt.

use candle_core::Tensor;

use super::label::Label;
use super::{At, StepRecord, Tracker, TriedPrompt, Visited};
use crate::attack::{AttackError, Evaluation};
use crate::oracle::{Text, TextAnswer};
use crate::prompt::Family;

/// A text under which points are visited.
pub(super) struct Under {
    pub(super) text: Text,
    /// What was done to the prompt, if that has a name.
    family: Option<Family>,
}

impl Under {
    /// As it stands in a record, if it is a prompt.
    pub(super) fn tried(
        &self,
        evaluation: &Evaluation,
        clean: &Evaluation,
    ) -> Result<Option<TriedPrompt>, AttackError> {
        let Text::Prompt(prompt) = &self.text else { return Ok(None) };
        TriedPrompt::new((self.family, prompt.clone()), evaluation, clean).map(Some)
    }
}

impl Tracker<'_> {
    /// What the model says about the clean image under the problem's prompt.
    pub fn clean(&self) -> &Evaluation {
        self.preference.clean()
    }

    /// Every point that was visited so far.
    pub fn records(&self) -> &[StepRecord] {
        &self.records
    }

    /// The best point so far, of all restarts.
    pub fn best(&self) -> Option<&Visited> {
        self.best.as_ref()
    }

    /// From here to the end of the restart points are visited, and its last point is asked about, under `text`.
    pub fn turn_to(&mut self, text: Text, family: Option<Family>) {
        self.under = Some(Under { text, family });
    }

    /// Records the answer to a question about the text that the tracker was turned to.
    ///
    /// # Errors
    /// A loss that is not finite.
    pub fn visit_text(&mut self, x: &Tensor, answer: &TextAnswer) -> Result<(), AttackError> {
        let visited = self.visited(x, answer.loss, &answer.logits)?;
        self.record(visited, Label::default())
    }
}

/// The text that a point was visited under, if not the problem's prompt: the records of a checkpoint hold prompts.
pub(super) fn text_at(records: &[StepRecord], at: At, embedding: Option<Tensor>) -> Option<Text> {
    if let Some(embedding) = embedding {
        return Some(Text::Embedding(embedding));
    }
    let record = records.iter().find(|record| (record.restart, record.step) == (at.restart, at.step))?;
    record.prompt.as_ref().map(|prompt| Text::Prompt(prompt.text.clone()))
}

/// What of a text the records do not hold.
pub(super) fn embedding(text: Option<&Text>) -> Option<Tensor> {
    match text? {
        Text::Embedding(embedding) => Some(embedding.clone()),
        Text::Prompt(_) => None,
    }
}
