//! Points that have names: kinds of corruption, edited prompts. Each counts by itself, and the best becomes the result.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Tracker, Visited};
use crate::attack::{AttackError, Evaluation};
use crate::certify::Certificate;
use crate::oracle::Oracle;
use crate::prompt::Family;

/// An edited prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TriedPrompt {
    /// What was done to the prompt.
    pub family: Family,
    /// The prompt afterwards.
    pub text: String,
    /// DSC of the mask against the mask under the original prompt.
    pub consistency: f64,
}

/// What is to be noted of a point besides the model's answer.
#[derive(Default)]
pub(super) struct Label<'t> {
    /// If one was asked for.
    pub(super) gradient: Option<&'t Tensor>,
    pub(super) tried: Option<String>,
    pub(super) prompt: Option<TriedPrompt>,
}

impl<'t> Label<'t> {
    /// A point without a name.
    pub(super) fn of(gradient: &'t Tensor) -> Self {
        Self { gradient: Some(gradient), ..Self::default() }
    }
}

impl Tracker<'_> {
    /// Asks for the objective at a point that has a name and records it; it may become the result whichever iterate the
    /// protocol takes.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn try_out(&mut self, name: &str, x: &Tensor, oracle: &mut dyn Oracle) -> Result<Visited, AttackError> {
        let (loss, logits) = oracle.loss(x)?;
        let visited = self.visited(x, loss, &logits)?;
        self.enter(visited.clone(), Label { tried: Some(name.into()), ..Label::default() })?;
        Ok(visited)
    }

    /// Asks for the objective at a point that others are to be compared with and records it under its name; it cannot
    /// become the result.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn compare(&mut self, name: &str, x: &Tensor, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let (loss, logits) = oracle.loss(x)?;
        let visited = self.visited(x, loss, &logits)?;
        self.note(&visited, Label { tried: Some(name.into()), ..Label::default() })
    }

    /// Records what the model said under an edited prompt; it may become the result if it `counts`.
    ///
    /// # Errors
    /// A device that failed.
    pub fn try_prompt(
        &mut self,
        x: &Tensor,
        evaluation: Evaluation,
        prompt: TriedPrompt,
        counts: bool,
    ) -> Result<(), AttackError> {
        let visited = Visited { at: self.now, x: x.clone(), prompt: Some(prompt.text.clone()), evaluation };
        let label = Label { tried: Some(prompt.family.name().into()), prompt: Some(prompt), gradient: None };
        if counts { self.enter(visited, label) } else { self.note(&visited, label) }
    }

    /// Ends a restart at the best point that was tried out: writes it as a file and asks about the file. Without such a
    /// point the restart has no result.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn settle_tried(&mut self, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        match self.round.clone() {
            Some(best) => self.settle(best, oracle),
            None => Ok(()),
        }
    }

    /// Notes what was found to be certain.
    pub fn certify(&mut self, certificate: Certificate) {
        self.certificate = Some(certificate);
    }

    /// Adds what the reader should know before trusting the numbers; once is enough.
    pub fn remark(&mut self, remark: String) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}
