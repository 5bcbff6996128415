//! Points that have names: kinds of corruption, other texts. Each counts by itself, and the best becomes the result.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Tracker, Visited};
use crate::attack::{AttackError, Evaluation};
use crate::certify::Certificate;
use crate::metric::Confusion;
use crate::oracle::{Oracle, Text};
use crate::prompt::Family;

/// An edited prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TriedPrompt {
    /// What was done to the prompt; absent if tokens were replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub family: Option<Family>,
    /// The prompt afterwards.
    pub text: String,
    /// DSC of the mask against the mask of the clean image under the original prompt.
    pub consistency: f64,
}

impl TriedPrompt {
    /// A prompt under which the model answered `evaluation`; `clean` is its answer to the clean image under the original
    /// one.
    ///
    /// # Errors
    /// Masks of different sizes.
    pub fn new(
        (family, text): (Option<Family>, String),
        evaluation: &Evaluation,
        clean: &Evaluation,
    ) -> Result<Self, AttackError> {
        let consistency = Confusion::between(&evaluation.mask, &clean.mask)?.dsc();
        Ok(Self { family, text, consistency })
    }
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
        let visited = self.asked_about(x, oracle)?;
        self.enter(visited.clone(), Label { tried: Some(name.into()), ..Label::default() })?;
        Ok(visited)
    }

    /// Asks for the objective at a point that others are to be compared with and records it under its name; it cannot
    /// become the result.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn compare(&mut self, name: &str, x: &Tensor, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let visited = self.asked_about(x, oracle)?;
        self.note(&visited, Label { tried: Some(name.into()), ..Label::default() })
    }

    /// Records what the model said under another prompt; it may become the result if it `counts`.
    ///
    /// # Errors
    /// A device that failed.
    pub fn try_prompt(
        &mut self,
        x: &Tensor,
        evaluation: Evaluation,
        (family, prompt): (Option<Family>, String),
        counts: bool,
    ) -> Result<(), AttackError> {
        let tried = TriedPrompt::new((family, prompt.clone()), &evaluation, self.clean())?;
        let visited = Visited { at: self.now, x: x.clone(), text: Some(Text::Prompt(prompt)), evaluation };
        let label = Label { prompt: Some(tried), ..Label::default() };
        if counts { self.enter(visited, label) } else { self.note(&visited, label) }
    }

    /// Records what the model said under the problem's own prompt; it may become the result.
    ///
    /// # Errors
    /// A device that failed.
    pub fn try_original(&mut self, x: &Tensor, evaluation: Evaluation) -> Result<(), AttackError> {
        self.enter(Visited { at: self.now, x: x.clone(), text: None, evaluation }, Label::default())
    }

    /// Whether this restart has a point that may become the result.
    pub fn has_result(&self) -> bool {
        self.round.is_some()
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
