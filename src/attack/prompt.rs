//! Prompt edits as an attack: the image stays, the text changes.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::harness::random::Draw;
use super::{Attack, AttackError, Norm, Problem, Tracker, steps};
use crate::oracle::{Measure, Oracle, OracleError, Text};
use crate::prompt::{Edit, Edits, Family, check_text, edits};

const MOST_TEXTS: usize = 100;
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
    /// Harm, and what decides between equals.
    rank: Vec<f64>,
}

impl Prompt {
    /// The families of later rounds.
    fn edited_again(&self) -> Vec<Family> {
        self.edits.families().into_iter().filter(|family| family.keeps_meaning()).collect()
    }
}

/// The given texts and the edits of the problem's prompt.
pub(super) fn first_edits(texts: &[String], which: Edits, problem: &Problem) -> Vec<Edit> {
    let prompt = &problem.setup().prompt;
    let given = texts.iter().filter(|text| *text != prompt);
    let given = given.map(|text| Edit { family: Family::Given, text: text.clone() });
    given.chain(edits(prompt, &which.families(), |family| key(problem, family, (0, 0)))).collect()
}

/// Refuses too many texts, and those that no request may have.
pub(super) fn check_texts(texts: &[String]) -> Result<(), AttackError> {
    if texts.len() > MOST_TEXTS {
        return Err(steps::refused("texts", format!("{} texts", texts.len()), "give at most 100"));
    }
    for text in texts {
        check_text(text).map_err(|rule| steps::refused("texts", format!("{text:?}"), rule))?;
    }
    Ok(())
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
        check_texts(&self.texts)?;
        if self.edits == Edits::One(Family::Given) && self.texts.is_empty() {
            return refuse("texts", "empty".into(), "give at least one text for these edits");
        }
        Ok(())
    }

    fn norms(&self) -> &'static [Norm] {
        &[]
    }

    fn points(&self) -> u64 {
        let again = self.edited_again().into_iter().map(|family| Edits::One(family).most()).sum::<usize>();
        (self.edits.most() + self.texts.len() + self.rounds.saturating_sub(1) * self.beam * again) as u64
    }

    fn variant(&self) -> Option<String> {
        Some(self.edits.to_string())
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ranks = log.resume().map_or(Ok(vec![]), |[ranks]: [Tensor; 1]| ranks.to_vec2())?;
        let mut trials = Trials { edits: self.edits, seen: BTreeSet::new(), ranks, told: 0 };
        let mut beam = vec![];
        for edit in first_edits(&self.texts, self.edits, problem) {
            beam.extend(trials.try_out(edit, problem, oracle, log)?);
        }
        for round in 1..self.rounds {
            keep_worst(&mut beam, self.beam);
            let texts: Vec<String> = beam.iter().map(|candidate| candidate.text.clone()).collect();
            for (place, text) in texts.iter().enumerate() {
                for edit in edits(text, &self.edited_again(), |family| key(problem, family, (round, place))) {
                    beam.extend(trials.try_out(edit, problem, oracle, log)?);
                }
            }
        }
        if !log.has_result() {
            let rule = "none of them changes this prompt into one that the model can read: choose others, or all";
            return Err(steps::refused("edits", self.edits, rule));
        }
        trials.keep(log)?;
        log.settle_tried(oracle)
    }
}

/// The texts that were tried, each once.
struct Trials {
    edits: Edits,
    seen: BTreeSet<String>,
    /// What `Evaluation::rank` says of each text that the model answered, in order: of those that were answered before
    /// the attack was stopped there is nothing else left, and nothing else is needed.
    ranks: Vec<Vec<f64>>,
    /// How many of these texts came up again so far.
    told: usize,
}

impl Trials {
    /// Asks about an edit, unless its text was tried; answers a candidate for further edits.
    fn try_out(
        &mut self,
        Edit { family, text }: Edit,
        problem: &Problem,
        oracle: &mut dyn Oracle,
        log: &mut Tracker,
    ) -> Result<Option<Candidate>, AttackError> {
        if !self.seen.insert(text.clone()) {
            return Ok(None);
        }
        let told = log.records().get(self.told).and_then(|record| record.prompt.as_ref());
        if self.told < self.ranks.len() {
            // A text that the model refused left no record.
            if told.is_none_or(|told| told.text != text) {
                return Ok(None);
            }
        } else {
            self.keep(log)?;
            let x = problem.ball().clean();
            let (loss, logits) = match oracle.loss_under(&Text::Prompt(text.clone()), x, &Measure::default()) {
                Err(OracleError::Prompt(reason)) => {
                    log.remark(format!("the model refuses a prompt of the family {}: {reason}", family.name()));
                    return Ok(None);
                }
                answer => answer?,
            };
            let evaluation = problem.score(loss, &logits)?;
            let (harm, tracked) = evaluation.rank(problem)?;
            self.ranks.push(vec![harm, f64::from(tracked)]);
            log.try_prompt(x, evaluation, (Some(family), text.clone()), self.edits.count(family))?;
        }
        let rank = self.ranks[self.told].clone();
        self.told += 1;
        Ok(family.keeps_meaning().then_some(Candidate { text, rank }))
    }

    /// Notes what the search can go on from.
    fn keep(&self, log: &mut Tracker) -> Result<(), AttackError> {
        if !self.ranks.is_empty() {
            log.keep([&Tensor::new(self.ranks.clone(), &Device::Cpu)?]);
        }
        Ok(())
    }
}

/// Keeps the `count` candidates that an attacker prefers, the best first; of equals, those that were tried first.
fn keep_worst(beam: &mut Vec<Candidate>, count: usize) {
    let order = |a: &f64, b: &f64| b.total_cmp(a);
    beam.sort_by(|a, b| order(&a.rank[0], &b.rank[0]).then(order(&a.rank[1], &b.rank[1])));
    beam.truncate(count);
}
