//! An attack that cannot be trusted says so.

use super::{Outcome, Problem, StepRecord};
use crate::attack::AttackError;
use crate::attack::protocol::Clamp;
use crate::oracle::Text;

/// From this share of exact zeros on, a gradient is called masked.
const MASKED: f64 = 0.5;

/// What the reader should know before trusting an outcome.
///
/// # Errors
/// A device that failed.
pub fn on(problem: &Problem, outcome: &Outcome) -> Result<Vec<String>, AttackError> {
    let mut notes = vec![];
    let clamped = problem.setup().choices.clamp == Clamp::EveryStep;
    if clamped && problem.lattice().is_a_point() {
        let levels = problem.lattice().levels;
        notes.push(format!("epsilon is {levels:.2} of 255 levels, less than one: no 8-bit file can be changed"));
    }
    if !problem.lattice().admits(&problem.setup().image, &outcome.file.image) {
        notes.push("rounding or the file format carried the saved image out of the budget or the region".into());
    }
    if outcome.clean_reread.is_some() {
        notes.push("the file format alone changes the clean image: compare with the clean image read back".into());
    }
    // Losses that choose their pixels have no gradient where nothing is left to win.
    let open = |record: &&StepRecord| record.target_dsc.map_or(record.dsc > 0., |dsc| dsc < 1.);
    let shares = outcome.records.iter().filter(open).filter_map(|record| record.zero_gradient_share);
    let masked = shares.clone().filter(|share| *share >= MASKED).count();
    if masked > 0 {
        let asked = shares.count();
        notes.push(format!(
            "in {masked} of {asked} gradients at least half of the entries were exactly 0: the gradient may be masked"
        ));
    }
    if !outcome.file.evaluation.beats(&outcome.clean, problem)? {
        notes.push(match &outcome.file.text {
            Some(Text::Prompt(_)) => "no edited prompt is stronger than the original one".into(),
            Some(Text::Embedding(_)) => "no embedding within the radius is stronger than the prompt's own".into(),
            None => "the saved image is no stronger than the clean one".into(),
        });
    }
    if let Some(sensitivity) = outcome.prompt_sensitivity() {
        notes.extend(sensitivity.notes());
    }
    if let Some(smallest) = &outcome.smallest {
        match (&smallest.float, &smallest.file) {
            (None, _) => {
                notes.push("nothing within the budget met the criterion: the search needs a larger one".into())
            }
            (Some(_), None) => notes.push(
                "a point within the budget met the criterion, but no 8-bit file near it did: rounding undoes it".into(),
            ),
            (Some(_), Some(_)) => {}
        }
    }
    if outcome.success.met_by_clean_image {
        notes.push("the clean image already meets the criterion: success says nothing about the attack".into());
    }
    Ok(notes)
}
