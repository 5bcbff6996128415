//! What happened on the way: a record of every step, and the best point that was visited.

use std::cell::Cell;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checkpoint::{Best, Checkpoint, Numbers};
use super::evaluation::Evaluation;
use super::measure::{Measured, measure};
use super::problem::Problem;
use super::queries::Queries;
use crate::attack::AttackError;
use crate::attack::protocol::Iterate;
use crate::oracle::{Answer, Oracle, OracleError};
use crate::prompt::Family;

/// One visited point, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepRecord {
    /// The restart, from 0.
    pub restart: usize,
    /// The step within the restart; 0 is the start, before anything was changed by a gradient.
    pub step: usize,
    /// The objective.
    pub loss: f32,
    /// DSC against the reference.
    pub dsc: f64,
    /// DSC against the target of a targeted attack.
    pub target_dsc: Option<f64>,
    /// The perturbation as a share of the budget, in the budget's norm; 0 for a budget of 0, `None` without a budget.
    #[schema(required)]
    pub budget_used: Option<f64>,
    /// The share of entries within the region whose gradient is exactly 0, if a gradient was asked for.
    pub zero_gradient_share: Option<f64>,
    /// What was tried here, by a method that tries things that have names: a kind of corruption.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tried: Option<String>,
    /// The prompt that was tried here, by a method that changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub prompt: Option<TriedPrompt>,
}

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
struct Label {
    /// Whether it may become the result.
    eligible: bool,
    tried: Option<String>,
    prompt: Option<TriedPrompt>,
}

/// Where a result came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct At {
    /// The restart, from 0.
    pub restart: usize,
    /// The step within the restart.
    pub step: usize,
}

/// A visited point.
#[derive(Debug, Clone)]
pub struct Visited {
    /// When it was visited.
    pub at: At,
    /// The point `[3, h, w]`; in the attack's space until it becomes part of an outcome.
    pub x: Tensor,
    /// The prompt it was visited under, if not the problem's.
    pub prompt: Option<String>,
    /// What the model said.
    pub evaluation: Evaluation,
}

/// Who follows an attack from outside. A closure that takes records is told about every step and keeps nothing.
pub trait Watcher {
    /// Is told about every visited point.
    fn visited(&mut self, record: &StepRecord);

    /// The state to go on from; `None` begins anew. Asked once, before the first step.
    fn resumes(&mut self) -> Option<Checkpoint> {
        None
    }

    /// Whether [`Self::keep`] should be called now. Asked before every question that a method can go on from.
    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    /// Takes the state; also when the attack is cancelled.
    fn keep(&mut self, _checkpoint: Checkpoint) {}
}

impl<F: FnMut(&StepRecord)> Watcher for F {
    fn visited(&mut self, record: &StepRecord) {
        self(record);
    }
}

/// Follows an attack step by step.
pub struct Tracker<'a> {
    problem: &'a Problem,
    watcher: &'a mut dyn Watcher,
    queries: &'a Cell<Queries>,
    now: At,
    records: Vec<StepRecord>,
    best: Option<Visited>,
    last: Option<Visited>,
    /// What the method can go on from at `now`.
    state: Vec<Tensor>,
    /// What it does go on from, until it asks.
    resumed: Option<Vec<Tensor>>,
    /// What the method wants the reader to know.
    notes: Vec<String>,
}

impl<'a> Tracker<'a> {
    /// A tracker that tells `watcher` about every step, and goes on where the watcher says.
    ///
    /// # Errors
    /// A state whose best point the model's answer does not fit.
    pub fn new(
        problem: &'a Problem,
        watcher: &'a mut dyn Watcher,
        queries: &'a Cell<Queries>,
    ) -> Result<Self, AttackError> {
        let resumes = watcher.resumes();
        let now = At { restart: 0, step: 0 };
        let (records, state, notes) = (vec![], vec![], vec![]);
        let (best, last, resumed) = (None, None, None);
        let mut new = Self { problem, watcher, queries, now, records, best, last, state, resumed, notes };
        if let Some(Checkpoint { numbers, best, state }) = resumes {
            if let (Some(Best { at, loss }), Some([x, logits])) = (numbers.best, best) {
                new.best = Some(Visited { at, x, prompt: None, evaluation: problem.score(loss, &logits)? });
            }
            new.queries.set(numbers.queries);
            (new.now, new.records, new.resumed) = (numbers.now, numbers.records, Some(state));
        }
        Ok(new)
    }

    /// Begins a restart at its step 0, unless the attack goes on within it.
    pub fn begin(&mut self, restart: usize) {
        if self.now.restart != restart {
            self.now = At { restart, step: 0 };
        }
        self.state.clear();
    }

    /// Where the method goes on: what it last gave to [`Self::keep`], of as many tensors. `None` begins the restart.
    pub fn resume<const N: usize>(&mut self) -> Option<[Tensor; N]> {
        self.resumed.take()?.try_into().ok()
    }

    /// The current step within the restart: 0, unless the method goes on.
    pub fn step(&self) -> usize {
        self.now.step
    }

    /// Notes what the method can go on from before it asks about the next point.
    pub fn keep<const N: usize>(&mut self, state: [&Tensor; N]) {
        self.state = state.map(Tensor::clone).into();
        if self.watcher.wants_checkpoint() {
            self.leave();
        }
    }

    /// Hands the state to the watcher, if there is one.
    pub(super) fn leave(&mut self) {
        if self.state.is_empty() {
            return;
        }
        let best = self.best.as_ref();
        let numbers = Numbers {
            now: self.now,
            records: self.records.clone(),
            queries: self.queries.get(),
            best: best.map(|best| Best { at: best.at, loss: best.evaluation.loss }),
        };
        let best = best.map(|best| [best.x.clone(), best.evaluation.logits.clone()]);
        self.watcher.keep(Checkpoint { numbers, best, state: self.state.clone() });
    }

    /// The current restart, from 0.
    pub fn restart(&self) -> usize {
        self.now.restart
    }

    /// Records a point on the way and the oracle's answer to it.
    ///
    /// # Errors
    /// A gradient of another shape than the image or one that is not finite, a loss that is not finite.
    pub fn visit(&mut self, x: &Tensor, answer: &Answer) -> Result<(), AttackError> {
        if answer.gradient.dims() != x.dims() {
            let shape = format!("of shape {:?} for an image of shape {:?}", answer.gradient.dims(), x.dims());
            return Err(OracleError::Gradient(shape).into());
        }
        let evaluation = self.problem.score(answer.loss, &answer.logits)?;
        let eligible = self.problem.setup().choices.iterate == Iterate::Best;
        self.record(x, evaluation, Some(&answer.gradient), Label { eligible, ..Label::default() })
    }

    /// Asks the oracle about the last point of a restart and records it.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn finish(&mut self, x: &Tensor, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let (loss, logits) = oracle.loss(x)?;
        let evaluation = self.problem.score(loss, &logits)?;
        self.record(x, evaluation, None, Label { eligible: true, ..Label::default() })
    }

    /// As [`Self::finish`], for a point that has a name and counts by itself: of several, the best is kept.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn try_out(&mut self, name: &str, x: &Tensor, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let (loss, logits) = oracle.loss(x)?;
        let evaluation = self.problem.score(loss, &logits)?;
        self.record(x, evaluation, None, Label { eligible: true, tried: Some(name.into()), prompt: None })
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
        let tried = Some(prompt.family.name().into());
        self.record(x, evaluation, None, Label { eligible: counts, tried, prompt: Some(prompt) })
    }

    /// Adds what the reader should know before trusting the numbers.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn record(
        &mut self,
        x: &Tensor,
        evaluation: Evaluation,
        gradient: Option<&Tensor>,
        label: Label,
    ) -> Result<(), AttackError> {
        let Measured { distance, zero_gradient_share } = measure(self.problem.ball(), x, gradient)?;
        let radius = self.problem.ball().radius();
        let record = StepRecord {
            restart: self.now.restart,
            step: self.now.step,
            loss: evaluation.loss,
            dsc: evaluation.dsc,
            target_dsc: evaluation.target_dsc,
            budget_used: radius.is_finite().then(|| if radius > 0. { distance / radius } else { 0. }),
            zero_gradient_share,
            tried: label.tried,
            prompt: label.prompt.clone(),
        };
        self.watcher.visited(&record);
        self.records.push(record);
        let prompt = label.prompt.map(|prompt| prompt.text);
        let visited = Visited { at: self.now, x: x.clone(), prompt, evaluation };
        if label.eligible && self.best.as_ref().is_none_or(|best| visited.evaluation.beats(&best.evaluation)) {
            self.best = Some(visited.clone());
        }
        // What may not become the result takes no other's place.
        if label.eligible || visited.prompt.is_none() {
            self.last = Some(visited);
        }
        self.now.step += 1;
        self.state.clear();
        Ok(())
    }

    /// The records, the best point and the last one, and the method's notes; `None` if nothing was visited that may
    /// become the result.
    pub fn into_parts(self) -> Option<(Vec<StepRecord>, Visited, Visited, Vec<String>)> {
        Some((self.records, self.best?, self.last?, self.notes))
    }
}
