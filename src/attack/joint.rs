//! Image and text together: the image attack and the prompt's edits take turns.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::prompt::{check_texts, first_edits};
use super::{Attack, AttackError, Epsilon, Pgd, Problem, Tracker, steps};
use crate::oracle::{Measure, Oracle, OracleError, Text};
use crate::prompt::{Edit, Edits, Family};

const MOST_ROUNDS: usize = 8;

/// PGD under the prompt itself; then, `rounds` times, the worst edit of the prompt for the worst image so far, and PGD
/// under it from that image. The best pair of image and prompt is the result.
///
/// The first turn is the method `pgd` with the same parameters and random numbers, so that the result is never weaker than
/// PGD's on any image. Edits keep what is asked for, as those of the method `prompt`. Zhang, Yi and Sang 2022 (Co-Attack),
/// arXiv 2206.09391, with turns, and a search among edits in the place of theirs among words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Joint {
    /// Gradient steps on the image in each turn.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Length of a step, with its unit; a quarter of epsilon unless set, or `2.5 epsilon / steps` if that is more.
    pub alpha: Option<Epsilon>,
    /// Whether the first turn starts at a random point of the budget rather than at the clean image.
    pub random_start: bool,
    /// How often the prompt is edited, and the image attacked under the edited one.
    #[schema(minimum = 1, maximum = 8)]
    pub rounds: usize,
    /// Which edits are tried: all that keep what is asked for, or one family of them.
    pub edits: Edits,
    /// Your own other words for the same thing. At most 100, of 1 to 1000 characters.
    #[schema(max_items = 100)]
    pub texts: Vec<String>,
}

impl Default for Joint {
    fn default() -> Self {
        Self { steps: 40, alpha: None, random_start: true, rounds: 2, edits: Edits::Keeping, texts: vec![] }
    }
}

impl Joint {
    /// The image attack.
    fn pgd(&self) -> Pgd {
        Pgd { steps: self.steps, alpha: self.alpha, random_start: self.random_start, restarts: 1 }
    }

    /// The texts to choose from in each turn: the prompt itself, without a family, and its edits.
    fn choices(&self, problem: &Problem) -> Vec<(Option<Family>, String)> {
        let edited = first_edits(&self.texts, self.edits, problem).into_iter();
        let edited = edited.map(|Edit { family, text }| (Some(family), text));
        std::iter::once((None, problem.setup().prompt.clone())).chain(edited).collect()
    }
}

impl Attack for Joint {
    fn check(&self) -> Result<(), AttackError> {
        self.pgd().check()?;
        if !(1..=MOST_ROUNDS).contains(&self.rounds) {
            return Err(steps::refused("rounds", self.rounds, "use 1 to 8"));
        }
        if !self.edits.families().into_iter().all(Family::keeps_meaning) {
            let rule = "an edit that changes what is asked for is no attack: use keeping, or one family that keeps it";
            return Err(steps::refused("edits", self.edits, rule));
        }
        check_texts(&self.texts)
    }

    fn restarts(&self) -> usize {
        1 + self.rounds
    }

    fn notes(&self, problem: &Problem) -> Vec<String> {
        self.pgd().notes(problem)
    }

    fn points(&self) -> u64 {
        let (steps, edits) = (self.steps as u64 + 1, (self.edits.most() + self.texts.len()) as u64 + 1);
        steps + self.rounds as u64 * (steps + edits)
    }

    fn variant(&self) -> Option<String> {
        Some(self.edits.to_string())
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        if log.restart() == 0 {
            return self.pgd().run(problem, oracle, log);
        }
        let choices = self.choices(problem);
        let (mut x, chosen, before) = match log.resume() {
            Some([x, place]) => (x, place.to_vec1::<u32>()?[0] as usize, place.to_vec1::<u32>()?[1] as usize),
            None => {
                let x = log.best().map_or_else(|| problem.ball().clean().clone(), |best| best.x.clone());
                let chosen = worst(&choices, &x, (problem, &mut *oracle), log)?;
                (x, chosen, log.step())
            }
        };
        let (family, prompt) = choices[chosen].clone();
        let text = Text::Prompt(prompt);
        if family.is_some() {
            log.turn_to(text.clone(), family);
        }
        let place = Tensor::new(&[chosen as u32, before as u32], &Device::Cpu)?;
        let (ball, alpha) = (problem.ball(), self.pgd().alpha(problem));
        for step in log.step() - before..self.steps {
            log.keep([&x, &place]);
            let answer = oracle.gradient_under(&text, &x, &Measure::after(step, self.steps))?;
            log.visit(&x, &answer)?;
            x = ball.advance(&x, &answer.gradient, alpha)?;
        }
        log.keep([&x, &place]);
        log.finish(&x, oracle)
    }
}

/// The place of the text under which the model is worst on the image `x`.
fn worst(
    choices: &[(Option<Family>, String)],
    x: &Tensor,
    (problem, oracle): (&Problem, &mut dyn Oracle),
    log: &mut Tracker,
) -> Result<usize, AttackError> {
    let mut worst = None;
    for (place, (family, prompt)) in choices.iter().enumerate() {
        let (loss, logits) = match oracle.loss_under(&Text::Prompt(prompt.clone()), x, &Measure::default()) {
            Err(OracleError::Prompt(reason)) if family.is_some() => {
                log.remark(format!("the model refuses an edited prompt: {reason}"));
                continue;
            }
            answer => answer?,
        };
        let evaluation = problem.score(loss, &logits)?;
        let better = match &worst {
            None => true,
            Some((_, before)) => evaluation.beats(before, problem)?,
        };
        match family {
            Some(_) => log.try_prompt(x, evaluation.clone(), (*family, prompt.clone()), true)?,
            None => log.try_original(x, evaluation.clone())?,
        }
        if better {
            worst = Some((place, evaluation));
        }
    }
    Ok(worst.map_or(0, |(place, _)| place))
}
