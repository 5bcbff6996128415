//! What all attacks share: budget, projection, random numbers, bookkeeping and the 8-bit file.
//!
//! [`run`] lets a method move through the [`Ball`](projection::Ball), keeps the best point of each restart by the
//! metric, writes it as an 8-bit file that holds the budget, and asks the model once more about
//! exactly that file: what is downloaded is what was measured. The best of these files is the result, so more
//! restarts never give a weaker one.

pub mod adam;
mod advance;
pub mod budget;
pub mod checkpoint;
pub mod evaluation;
mod l1;
mod measure;
mod notes;
pub mod preference;
pub mod problem;
pub mod projection;
pub mod quantise;
pub mod queries;
pub mod random;
pub mod saved;
pub mod smallest;
pub mod success;
#[cfg(test)]
pub(crate) mod tests;
pub mod tracker;
mod visited;

use std::cell::Cell;

use super::{
    AttackError, AttackSpec, Budget, Echo, Evaluation, Problem, StepRecord, Success, Tracker, check_perturbation,
};
use crate::certify::Certificate;
use crate::oracle::{Oracle, OracleError};
use crate::prompt::{PromptSensitivity, Tried};
use preference::{Preference, Seeks};
use queries::{Counting, Queries};
use saved::{Saved, round_trip};
use smallest::Smallest;
use tracker::{Noted, TriedPrompt, Visited, Watcher};

/// The result of an attack on one image.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The clean image.
    pub clean: Evaluation,
    /// The clean image after the round trip through the file format, if that changes it.
    pub clean_reread: Option<Evaluation>,
    /// The best point before rounding, in fractions of full scale. It may leave [0, 1] under a protocol
    /// that does not clamp.
    pub float: Visited,
    /// The adversarial image as a file.
    pub file: Saved,
    /// Whether `file` is within the budget and the region; a lossy file format may leave both. `None` for a method
    /// that has no budget.
    pub within_budget: Option<bool>,
    /// The budget in all units, if there is one.
    pub budget: Option<Echo>,
    /// Every visited point.
    pub records: Vec<StepRecord>,
    /// How often the attack began anew.
    pub restarts: usize,
    /// How often the model was asked, the checks of the harness included.
    pub queries: Queries,
    /// What the reader should know before trusting the numbers.
    pub notes: Vec<String>,
    /// Whether the attack succeeded, judged on `file`.
    pub success: Success,
    /// What the criterion needed, of an attack that seeks the smallest perturbation.
    pub smallest: Option<Smallest>,
    /// What the model says about `file` under the problem's prompt, if image and text were both changed.
    pub under_original: Option<Evaluation>,
    /// What is certain, of a method that certifies.
    pub certificate: Option<Certificate>,
}

/// Runs an attack on a problem and measures what comes of it.
///
/// The oracle takes points of the protocol's [`Space`](super::protocol::Space), and its objective is
/// that of [`Problem::aim`]. `watcher` is told about every step, and may keep the state of the attack and have another
/// process go on from it: the result is the same to the last bit.
///
/// # Errors
/// Parameters that make no sense, and all errors of the oracle, such as a cancellation.
pub fn run(
    spec: &AttackSpec,
    problem: &Problem,
    oracle: &mut dyn Oracle,
    watcher: &mut dyn Watcher,
) -> Result<Outcome, AttackError> {
    let queries = Cell::new(Queries::default());
    let oracle = &mut Counting::new(oracle, &queries);
    let attack = spec.attack();
    attack.check()?;
    let setup = problem.setup();
    check_bounds(spec, setup.budget)?;
    check_perturbation(spec, setup.perturbation.is_some())?;
    let clean = problem.evaluate(&setup.image, oracle)?;
    let (_, reread) = round_trip(&setup.image, problem.container())?;
    let clean_reread = if reread == setup.image { None } else { Some(problem.evaluate(&reread, oracle)?) };

    let preference = Preference::new(attack.seeks(), problem, &clean);
    let mut log = Tracker::new((problem, preference.clone()), watcher, &queries)?;
    let mut restarts = log.restart();
    while restarts < attack.restarts() {
        if attack.seeks() == Seeks::Strongest && log.is_total() {
            log.remark(format!("the mask cannot get worse: {restarts} of {} restarts were enough", attack.restarts()));
            break;
        }
        log.begin(restarts);
        restarts += 1;
        let ended = attack.run(problem, oracle, &mut log);
        if matches!(ended, Err(AttackError::Oracle(OracleError::Cancelled))) {
            log.leave();
        }
        ended?;
    }
    let Noted { records, best, file, remarks, certificate } =
        log.into_parts().ok_or_else(|| AttackError::Parameter {
            name: "method",
            value: spec.method().into(),
            rule: "it has to finish at least one point",
        })?;

    let smallest = match attack.seeks() {
        Seeks::Strongest => None,
        Seeks::Nearest => Some(Smallest::new((problem, &preference), (&best, &file), &records)?),
    };
    let both_changed = file.text.is_some() && file.image != setup.image;
    let under_original = if both_changed { Some(problem.evaluate(&file.image, oracle)?) } else { None };
    let mut outcome = Outcome {
        success: problem.criterion().judge(&clean, &file.evaluation),
        clean,
        clean_reread,
        float: Visited { x: problem.to_unit01(&best.x)?, ..best },
        within_budget: setup.budget.map(|_| problem.lattice().admits(&setup.image, &file.image)),
        file,
        budget: setup.budget.map(|budget| budget.echo(&setup.preprocess.std)),
        records,
        restarts,
        queries: queries.get(),
        notes: attack.notes(problem),
        smallest,
        under_original,
        certificate,
    };
    outcome.notes.extend(notes::on(problem, &outcome)?);
    outcome.notes.extend(remarks);
    Ok(outcome)
}

/// Refuses a method that needs a budget and has none, one that has none and was given one, and a budget in a norm that
/// the method cannot keep.
///
/// # Errors
/// [`AttackError::Parameter`] with the name `budget` or `norm`.
pub fn check_bounds(spec: &AttackSpec, budget: Option<Budget>) -> Result<(), AttackError> {
    let rule = match (spec.attack().is_bounded(), budget.is_some()) {
        (true, false) => "this method needs a budget: say how far the image may be changed",
        (false, true) => "this method has no budget: leave it out, sizes are reported all the same",
        (true, true) | (false, false) => return budget.map_or(Ok(()), |budget| spec.check_norm(budget.norm)),
    };
    let value = if budget.is_some() { "given" } else { "missing" };
    Err(AttackError::Parameter { name: "budget", value: value.into(), rule })
}

impl Outcome {
    /// The record of the point that the file comes from.
    pub fn chosen(&self) -> Option<&StepRecord> {
        let at = self.file.at;
        self.records.iter().find(|record| (record.restart, record.step) == (at.restart, at.step))
    }

    /// How the mask depends on the prompt, if edited prompts were tried on the unchanged image.
    pub fn prompt_sensitivity(&self) -> Option<PromptSensitivity> {
        let unchanged = self.records.iter().filter(|record| record.budget_used.is_none());
        let tried = unchanged.filter_map(|record| {
            let TriedPrompt { family, text, consistency } = record.prompt.as_ref()?;
            Some(Tried { family: (*family)?, text, dsc: record.dsc, consistency: *consistency })
        });
        PromptSensitivity::new(&tried.collect::<Vec<_>>())
    }
}
