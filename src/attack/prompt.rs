//! Prompt edits as an attack: the image stays, the text changes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::random::Draw;
use super::harness::tracker::TriedPrompt;
use super::{Attack, AttackError, Evaluation, Norm, Problem, Tracker};
use crate::metric::Confusion;
use crate::model::tokenizer::{END_OF_TEXT, START_OF_TEXT};
use crate::oracle::{Oracle, OracleError};
use crate::prompt::{Edit, Edits, Family, edits};

const MOST_TEXTS: usize = 100;
const MOST_CHARACTERS: usize = 1000;
const MOST_ROUNDS: usize = 4;
const MOST_BEAM: usize = 16;

/// The worst of many edits of the prompt on the unchanged image, and how much the text matters at all.
///
/// With more than one round it is a beam search that needs no gradient: the worst texts of a round that keep what is
/// asked for are edited again. Ribeiro et al. 2020, arXiv 2005.04118; the beam as in Ebrahimi et al. 2018, arXiv
/// 1712.06751, with the true loss in the place of its linear estimate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Prompt {
    /// Which edits are tried.
    pub edits: Edits,
    /// Your own other words for the same thing; tried as the family `given`. At most 100, of 1 to 1000 characters.
    #[schema(max_items = 100)]
    pub texts: Vec<String>,
    /// How often texts are edited again.
    #[schema(minimum = 1, maximum = 4)]
    pub rounds: usize,
    /// How many texts of a round are edited again.
    #[schema(minimum = 1, maximum = 16)]
    pub beam: usize,
}

impl Default for Prompt {
    fn default() -> Self {
        Self { edits: Edits::All, texts: vec![], rounds: 1, beam: 4 }
    }
}

/// A text that was tried and may be edited again.
struct Candidate {
    text: String,
    evaluation: Evaluation,
}

impl Prompt {
    /// Prompts that are tried, at most: a prompt without a word for a family has fewer edits.
    pub fn points(&self) -> usize {
        let again = self.edited_again().into_iter().map(|family| Edits::One(family).most()).sum::<usize>();
        self.edits.most() + self.texts.len() + self.rounds.saturating_sub(1) * self.beam * again
    }

    /// The families of later rounds.
    fn edited_again(&self) -> Vec<Family> {
        self.edits.families().into_iter().filter(|family| family.keeps_meaning()).collect()
    }

    /// The edits of the first round.
    fn first(&self, problem: &Problem, prompt: &str) -> Vec<Edit> {
        let given = self.texts.iter().filter(|text| *text != prompt);
        let given = given.map(|text| Edit { family: Family::Given, text: text.clone() });
        given.chain(edits(prompt, &self.edits.families(), |family| key(problem, family, (0, 0)))).collect()
    }
}

/// The same slips whichever other families are tried.
fn key(problem: &Problem, family: Family, (round, place): (usize, usize)) -> [u8; 32] {
    problem.random().key(Draw { restart: place, step: round, purpose: family.name() })
}

impl Attack for Prompt {
    fn check(&self) -> Result<(), AttackError> {
        let refuse = |name, value: String, rule| Err(AttackError::Parameter { name, value, rule });
        if !(1..=MOST_ROUNDS).contains(&self.rounds) {
            return refuse("rounds", self.rounds.to_string(), "use 1 to 4");
        }
        if !(1..=MOST_BEAM).contains(&self.beam) {
            return refuse("beam", self.beam.to_string(), "use 1 to 16");
        }
        if self.rounds > 1 && self.edited_again().is_empty() {
            let rule = "edits that change what is asked for are not edited again: use 1, or other edits";
            return refuse("rounds", self.rounds.to_string(), rule);
        }
        if self.texts.len() > MOST_TEXTS {
            return refuse("texts", format!("{} texts", self.texts.len()), "give at most 100");
        }
        for text in &self.texts {
            let characters = text.chars().count();
            if text.trim().is_empty() || characters > MOST_CHARACTERS || text.contains('\0') {
                let rule = "a text has 1 to 1000 characters, one of them no space and none of them U+0000";
                return refuse("texts", format!("{characters} characters"), rule);
            }
            if [START_OF_TEXT, END_OF_TEXT].iter().any(|token| text.contains(token)) {
                return refuse("texts", format!("{text:?}"), "a special token would end the prompt: leave it out");
            }
        }
        if self.edits == Edits::One(Family::Given) && self.texts.is_empty() {
            return refuse("texts", "empty".into(), "give at least one text for these edits");
        }
        Ok(())
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let x = problem.ball().clean();
        let prompt = &problem.setup().prompt;
        let (loss, logits) = oracle.loss(x)?;
        let original = problem.score(loss, &logits)?;
        let mut seen = BTreeSet::new();
        let mut try_out = |edit: Edit| -> Result<Option<Candidate>, AttackError> {
            if !seen.insert(edit.text.clone()) {
                return Ok(None);
            }
            let (loss, logits) = match oracle.loss_under(&edit.text, x) {
                Err(OracleError::Prompt(reason)) => {
                    log.remark(format!("the model refuses a prompt of the family {}: {reason}", edit.family.name()));
                    return Ok(None);
                }
                answer => answer?,
            };
            let evaluation = problem.score(loss, &logits)?;
            let consistency = Confusion::between(&evaluation.mask, &original.mask)?.dsc();
            let Edit { family, text } = edit;
            let tried = TriedPrompt { family, text: text.clone(), consistency };
            log.try_prompt(x, evaluation.clone(), tried, self.edits.count(family))?;
            Ok(family.keeps_meaning().then_some(Candidate { text, evaluation }))
        };

        let mut beam = vec![];
        for edit in self.first(problem, prompt) {
            beam.extend(try_out(edit)?);
        }
        for round in 1..self.rounds {
            keep_worst(&mut beam, self.beam, problem)?;
            let texts: Vec<String> = beam.iter().map(|candidate| candidate.text.clone()).collect();
            for (place, text) in texts.iter().enumerate() {
                for edit in edits(text, &self.edited_again(), |family| key(problem, family, (round, place))) {
                    beam.extend(try_out(edit)?);
                }
            }
        }
        log.settle_tried(oracle)
    }
}

/// Keeps the `count` candidates that an attacker prefers, the best first; of equals, those that were tried first.
fn keep_worst(beam: &mut Vec<Candidate>, count: usize, problem: &Problem) -> Result<(), AttackError> {
    let mut ranked = vec![];
    for candidate in beam.drain(..) {
        ranked.push((candidate.evaluation.rank(problem)?, candidate));
    }
    ranked.sort_by(|((harm, tracked), _), ((other, beside), _)| other.total_cmp(harm).then(beside.total_cmp(tracked)));
    beam.extend(ranked.into_iter().take(count).map(|(_, candidate)| candidate));
    Ok(())
}
