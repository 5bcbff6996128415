//! Transfer: what an attack on one model does to another that it never asked.
//!
//! The attacker holds a model of their own; the other one only ever sees the finished file, as it sees the clean
//! image. Papernot et al. 2016, arXiv 1605.07277.

use serde::Serialize;
use utoipa::ToSchema;

use super::RunError;
use super::result::Reference;
use super::single::{AttackRun, answer};
use crate::attack::{Evaluation, Problem, Success};
use crate::engine::Engine;
use crate::imaging::{Image, Mask};
use crate::metric::{Deltas, MaskScores};
use crate::oracle::Text;

/// What another model says about the clean image and the adversarial file.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Transfer {
    /// Name of the other model.
    pub model: String,
    /// Its prediction on the clean image.
    pub clean: MaskScores,
    /// Its prediction on the adversarial file, under the adversarial prompt if the attack found one. An embedding is a
    /// model's own and is not transferred.
    pub adversarial_file: MaskScores,
    /// `adversarial_file` minus `clean`, and what the two predictions have in common.
    pub deltas: Deltas,
    /// Whether the attack on the first model succeeded on this one, by the same criterion.
    pub success: Success,
}

impl AttackRun {
    /// Shows the clean image and the adversarial file to other models and adds what comes of it to the result. No
    /// defence stands before them.
    ///
    /// # Errors
    /// A prompt that another model cannot use, a model that fails.
    pub fn transfer_to(&mut self, others: &[(String, Engine)]) -> Result<(), RunError> {
        for (name, engine) in others {
            let transfer = self.transfer(name, engine)?;
            self.result.transfer.push(transfer);
        }
        Ok(())
    }

    fn transfer(&self, name: &str, engine: &Engine) -> Result<Transfer, RunError> {
        let (problem, outcome) = self.measured.problem_and_outcome();
        let setup = problem.setup();
        let prompt = outcome.file.text.as_ref().and_then(Text::prompt).unwrap_or(&setup.prompt);
        let mut before = seen(problem, engine, (&setup.image, &setup.prompt))?;
        let mut after = seen(problem, engine, (&outcome.file.image, prompt))?;
        let reference = match self.result.reference {
            Reference::Given => setup.reference.clone(),
            // Its own answer, as for the model that was attacked.
            Reference::CleanPrediction => before.mask.clone(),
        };
        for evaluation in [&mut before, &mut after] {
            evaluation.dsc = problem.confusion(&evaluation.mask, &reference)?.dsc();
        }
        let scores = |mask: &Mask| problem.mask_scores(mask, &reference);
        let (clean, adversarial_file) = (scores(&before.mask)?, scores(&after.mask)?);
        let predictions = problem.confusion(&after.mask, &before.mask)?;
        Ok(Transfer {
            model: name.into(),
            deltas: Deltas::between(&clean, &adversarial_file, &predictions),
            clean,
            adversarial_file,
            success: problem.criterion().judge(&before, &after),
        })
    }
}

fn seen(problem: &Problem, engine: &Engine, (image, prompt): (&Image, &str)) -> Result<Evaluation, RunError> {
    Ok(problem.score(0., &answer(engine, image, prompt)?)?)
}
