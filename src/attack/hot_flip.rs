//! HotFlip: tokens of the prompt replaced, by a first-order estimate of what that does.

mod swaps;

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::swaps::{Swap, ranked};
use super::{Attack, AttackError, Norm, Problem, Tracker, steps};
use crate::model::Vocabulary;
use crate::oracle::{Measure, Oracle, OracleError, Text};

const MOST_FLIPS: usize = 8;
const MOST_BEAM: usize = 16;
const MOST_CANDIDATES: usize = 64;

/// How many replacements are spelled out for each that is wanted: most may be texts that nobody can type.
const SPELLED: usize = 64;

/// A beam search over replacements of tokens, on the unchanged image. What replacing the token at `i` by `v` does to the
/// objective is estimated as `(e_v - e_i) . g_i`, with `g_i` the gradient to the embedding at `i`; the best estimates are
/// checked by the true objective, and the best texts by that are searched again.
///
/// The number of tokens stays, none of them becomes a special one, and only texts that are tokenised to exactly the tokens
/// that were searched are tried: each can be typed. Ebrahimi et al. 2018, arXiv 1712.06751, with words of the
/// vocabulary in the place of characters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HotFlip {
    /// Tokens that are replaced, at most.
    #[schema(minimum = 1, maximum = 8)]
    pub flips: usize,
    /// Texts that are searched again after each replacement.
    #[schema(minimum = 1, maximum = 16)]
    pub beam: usize,
    /// Replacements of each of these texts that are tried.
    #[schema(minimum = 1, maximum = 64)]
    pub candidates: usize,
}

impl Default for HotFlip {
    fn default() -> Self {
        Self { flips: 2, beam: 4, candidates: 16 }
    }
}

/// A text of the beam.
struct Candidate {
    /// All its tokens, start and end included.
    ids: Vec<u32>,
    /// The true objective.
    loss: f32,
}

impl Attack for HotFlip {
    fn check(&self) -> Result<(), AttackError> {
        for (name, value, most, rule) in [
            ("flips", self.flips, MOST_FLIPS, "use 1 to 8"),
            ("beam", self.beam, MOST_BEAM, "use 1 to 16"),
            ("candidates", self.candidates, MOST_CANDIDATES, "use 1 to 64"),
        ] {
            if !(1..=most).contains(&value) {
                return Err(steps::refused(name, value, rule));
            }
        }
        Ok(())
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn points(&self) -> u64 {
        (self.candidates * (1 + (self.flips - 1) * self.beam)) as u64
    }

    fn variant(&self) -> Option<String> {
        Some(format!("flips {}", self.flips))
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let (prompt, vocabulary) = (&problem.setup().prompt, oracle.vocabulary()?);
        let original = vocabulary.all_ids(prompt).map_err(|error| OracleError::Prompt(error.to_string()))?;
        let mut beam = match log.resume() {
            Some([ids]) => ids.to_vec2()?,
            None => vec![original.clone()],
        };
        for flip in flipped(&beam, &original)..self.flips {
            log.keep([&Tensor::new(beam.clone(), &Device::Cpu)?]);
            let mut found = vec![];
            for ids in &beam {
                let here = if flip == 0 { prompt.clone() } else { vocabulary.typed(ids).unwrap_or_default() };
                for (ids, text) in
                    self.replacements((&here, ids), (&original, &vocabulary), (problem, &mut *oracle, &mut *log))?
                {
                    if let Some(loss) = try_out(&text, (problem, &mut *oracle), log)? {
                        found.push(Candidate { ids, loss });
                    }
                }
            }
            // of equals, those that were tried first
            found.sort_by(|a, b| b.loss.total_cmp(&a.loss));
            found.truncate(self.beam);
            if found.is_empty() {
                break;
            }
            beam = found.into_iter().map(|candidate| candidate.ids).collect();
        }
        if !log.has_result() {
            let rule =
                "none of its tokens can be replaced by another so that the text can be typed: use another prompt";
            return Err(steps::refused("prompt", format!("{prompt:?}"), rule));
        }
        log.keep([&Tensor::new(beam, &Device::Cpu)?]);
        log.settle_tried(oracle)
    }
}

impl HotFlip {
    /// The most promising replacements of one more token, with the texts that they spell; none was tried before.
    fn replacements(
        &self,
        (text, ids): (&str, &[u32]),
        (original, vocabulary): (&[u32], &Vocabulary),
        (problem, oracle, log): (&Problem, &mut dyn Oracle, &mut Tracker),
    ) -> Result<Vec<(Vec<u32>, String)>, AttackError> {
        let (x, measure) = (problem.ball().clean(), Measure::default());
        let answer = oracle.text_gradient(&Text::Prompt(text.into()), x, &measure)?;
        if answer.gradient.abs()?.max_all()?.to_scalar::<f32>()? == 0. {
            log.remark("the gradient to the prompt is exactly 0: the objective does not see the text here".into());
        }
        let open = |at: usize| ids[at] == original[at] && !vocabulary.is_special(ids[at]);
        let swaps = ranked(&answer.gradient, (ids, vocabulary), open, SPELLED * self.candidates)?;
        let mut seen = tried(log);
        seen.insert(problem.setup().prompt.clone());
        let spelled = swaps.into_iter().filter_map(|Swap { at, id, .. }| {
            let mut ids = ids.to_vec();
            ids[at] = id;
            let text = vocabulary.typed(&ids)?;
            seen.insert(text.clone()).then_some((ids, text))
        });
        Ok(spelled.take(self.candidates).collect())
    }
}

/// How many tokens differ from the original's; the same for all texts of a beam.
fn flipped(beam: &[Vec<u32>], original: &[u32]) -> usize {
    let differ = |ids: &Vec<u32>| ids.iter().zip(original).filter(|(a, b)| a != b).count();
    beam.first().map_or(0, differ)
}

/// The texts that were tried so far.
fn tried(log: &Tracker) -> BTreeSet<String> {
    log.records().iter().filter_map(|record| Some(record.prompt.as_ref()?.text.clone())).collect()
}

/// The true objective under a text; `None` if the model refuses it.
fn try_out(
    text: &str,
    (problem, oracle): (&Problem, &mut dyn Oracle),
    log: &mut Tracker,
) -> Result<Option<f32>, AttackError> {
    let x = problem.ball().clean();
    let (loss, logits) = match oracle.loss_under(&Text::Prompt(text.into()), x, &Measure::default()) {
        Err(OracleError::Prompt(reason)) => {
            log.remark(format!("the model refuses a prompt: {reason}"));
            return Ok(None);
        }
        answer => answer?,
    };
    log.try_prompt(x, problem.score(loss, &logits)?, (None, text.into()), true)?;
    Ok(Some(loss))
}
