//! What happened on the way: a record of every step, and the best point that was visited.

mod ask;
mod finish;
mod label;
mod role;
mod under;

use std::cell::Cell;

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checkpoint::{Checkpoint, Kept, Numbers, Point, Score};
use super::evaluation::Evaluation;
use super::measure::{Measured, measure};
use super::preference::Preference;
use super::problem::Problem;
use super::queries::Queries;
use super::saved::Saved;
use crate::attack::AttackError;
use crate::attack::protocol::Iterate;
use crate::certify::Certificate;
use crate::oracle::{Answer, OracleError, Text};
use label::Label;
pub use label::TriedPrompt;
pub use role::Role;
use under::{Under, embedding, text_at};

/// One visited point, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StepRecord {
    /// The restart, from 0.
    pub restart: usize,
    /// The step within the restart; 0 is the start, before anything was changed by an answer. An attack that asks
    /// for no gradients has a step for every question.
    pub step: usize,
    /// The objective; the Dice loss of the mask for an attack that sees nothing else.
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
    /// What was tried here, by a method that tries things that have names: a kind of corruption, a member of an
    /// ensemble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub tried: Option<String>,
    /// The prompt that was tried here, by a method that changes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub prompt: Option<TriedPrompt>,
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
    /// The text it was visited under, if not the problem's prompt.
    pub text: Option<Text>,
    /// What the model said.
    pub evaluation: Evaluation,
}

/// What an attack leaves behind.
pub struct Noted {
    /// Every visited point.
    pub records: Vec<StepRecord>,
    /// The best point.
    pub best: Visited,
    /// The best file.
    pub file: Saved,
    /// What the method wants the reader to know.
    pub remarks: Vec<String>,
    /// What is certain, if the method found that out.
    pub certificate: Option<Certificate>,
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
    preference: Preference,
    watcher: &'a mut dyn Watcher,
    queries: &'a Cell<Queries>,
    now: At,
    records: Vec<StepRecord>,
    best: Option<Visited>,
    /// The best point of this restart.
    round: Option<Visited>,
    /// The best file of the restarts that have ended.
    file: Option<Saved>,
    /// Whether the last point meets the criterion of success.
    met: bool,
    /// The text under which the next points are visited, if not the problem's prompt.
    under: Option<Under>,
    /// What the method can go on from at `now`.
    state: Vec<Tensor>,
    /// How often the model had been asked when `state` was noted.
    asked: Queries,
    /// What it does go on from, until it asks.
    resumed: Option<Vec<Tensor>>,
    /// What the method wants the reader to know.
    remarks: Vec<String>,
    /// Which member of an ensemble this restart belongs to.
    role: Option<Role>,
    /// What is certain, if the method found that out.
    certificate: Option<Certificate>,
}

impl<'a> Tracker<'a> {
    /// A tracker that tells `watcher` about every step, and goes on where the watcher says.
    ///
    /// # Errors
    /// A state whose best point the model's answer does not fit.
    pub fn new(
        (problem, preference): (&'a Problem, Preference),
        watcher: &'a mut dyn Watcher,
        queries: &'a Cell<Queries>,
    ) -> Result<Self, AttackError> {
        let resumes = watcher.resumes();
        let mut new = Self {
            problem,
            preference,
            watcher,
            queries,
            now: At { restart: 0, step: 0 },
            records: vec![],
            best: None,
            round: None,
            file: None,
            met: false,
            under: None,
            state: vec![],
            asked: Queries::default(),
            resumed: None,
            remarks: vec![],
            role: None,
            certificate: None,
        };
        if let Some(checkpoint) = resumes {
            new.go_on(checkpoint)?;
        }
        Ok(new)
    }

    fn go_on(&mut self, Checkpoint { numbers, kept, state }: Checkpoint) -> Result<(), AttackError> {
        let visited = |point: Option<Point>| -> Result<Option<Visited>, AttackError> {
            let Some(Point { score: Score { at, loss }, x, logits, embedding }) = point else { return Ok(None) };
            let evaluation = self.problem.score(loss, &logits)?;
            Ok(Some(Visited { at, x, text: text_at(&numbers.records, at, embedding), evaluation }))
        };
        (self.best, self.round) = (visited(kept.best)?, visited(kept.round)?);
        if let Some(Point { score: Score { at, loss }, x, logits, embedding }) = kept.file {
            let text = text_at(&numbers.records, at, embedding);
            self.file = Some(Saved::again((at, text, x.to_vec1()?), (loss, &logits), self.problem)?);
        }
        // The best point of all is not kept twice if it is of this restart.
        let of_this = |best: &&Visited| best.at.restart == numbers.now.restart;
        self.round = self.round.take().or_else(|| self.best.as_ref().filter(of_this).cloned());
        self.queries.set(numbers.queries);
        self.remarks = numbers.remarks;
        (self.now, self.records, self.resumed) = (numbers.now, numbers.records, Some(state));
        Ok(())
    }

    /// Begins a restart at its step 0, unless the attack goes on within it.
    pub fn begin(&mut self, restart: usize) {
        if self.now.restart != restart {
            self.now = At { restart, step: 0 };
            self.round = None;
        }
        self.under = None;
        self.role = None;
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
        self.asked = self.queries.get();
        if self.watcher.wants_checkpoint() {
            self.leave();
        }
    }

    /// [`Self::keep`] for a method that needs nothing but a point it has asked about: [`Visited::from_state`] of what
    /// it resumes at.
    ///
    /// # Errors
    /// A device that failed.
    pub fn keep_at(&mut self, visited: &Visited) -> Result<(), AttackError> {
        let [x, logits, numbers] = visited.state()?;
        self.keep([&x, &logits, &numbers]);
        Ok(())
    }

    /// Hands the state to the watcher, if there is one.
    pub(super) fn leave(&mut self) {
        if self.state.is_empty() {
            return;
        }
        let point = |visited: &Visited| Point {
            score: Score { at: visited.at, loss: visited.evaluation.loss },
            x: visited.x.clone(),
            logits: visited.evaluation.logits.clone(),
            embedding: embedding(visited.text.as_ref()),
        };
        let (best, round) = (self.best.as_ref(), self.round.as_ref());
        let round = round.filter(|round| best.is_none_or(|best| best.at != round.at));
        let file = self.file.as_ref().and_then(|file| {
            // A few bytes on the CPU: there is no reason for which this could fail.
            let x = Tensor::from_slice(&file.bytes, file.bytes.len(), &Device::Cpu).ok()?;
            let score = Score { at: file.at, loss: file.evaluation.loss };
            let embedding = embedding(file.text.as_ref());
            Some(Point { score, x, logits: file.evaluation.logits.clone(), embedding })
        });
        let kept = Kept { best: best.map(point), round: round.map(point), file };
        let (records, remarks) = (self.records.clone(), self.remarks.clone());
        let numbers = Numbers { now: self.now, records, queries: self.asked, remarks };
        self.watcher.keep(Checkpoint { numbers, kept, state: self.state.clone() });
    }

    /// Records a point on the way and the oracle's answer to it.
    ///
    /// # Errors
    /// A gradient of another shape than the image or one that is not finite, a loss that is not finite.
    pub fn visit(&mut self, x: &Tensor, answer: &Answer) -> Result<(), AttackError> {
        let visited = self.answered(x, answer)?;
        self.record(visited, Label::of(&answer.gradient))
    }

    /// Records a point beyond the budget: it cannot become the result.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn pass(&mut self, x: &Tensor, answer: &Answer) -> Result<(), AttackError> {
        let visited = self.answered(x, answer)?;
        self.note(&visited, Label::of(&answer.gradient))
    }

    /// Whether the point that was recorded last meets the criterion of success.
    pub fn met(&self) -> bool {
        self.met
    }

    /// Whether a point with this answer meets the criterion of success, before it is recorded.
    ///
    /// # Errors
    /// A loss that is not finite.
    pub fn would_meet(&self, loss: f32, logits: &Tensor) -> Result<bool, AttackError> {
        Ok(self.preference.meets(&self.problem.score(loss, logits)?))
    }

    /// Whether the best point of this restart meets the criterion of success; for an attack that seeks the nearest
    /// point, whether any does.
    pub fn has_met(&self) -> bool {
        self.round.as_ref().is_some_and(|best| self.preference.meets(&best.evaluation))
    }

    fn answered(&self, x: &Tensor, answer: &Answer) -> Result<Visited, AttackError> {
        if answer.gradient.dims() != x.dims() {
            let shape = format!("of shape {:?} for an image of shape {:?}", answer.gradient.dims(), x.dims());
            return Err(OracleError::Gradient(shape).into());
        }
        self.visited(x, answer.loss, &answer.logits)
    }

    fn visited(&self, x: &Tensor, loss: f32, logits: &Tensor) -> Result<Visited, AttackError> {
        let text = self.under.as_ref().map(|under| under.text.clone());
        Ok(Visited { at: self.now, x: x.clone(), text, evaluation: self.problem.score(loss, logits)? })
    }

    /// `best` unless `new` beats it.
    fn better<'v>(&self, best: Option<&'v Visited>, new: &Visited) -> Result<Option<&'v Visited>, AttackError> {
        let Some(best) = best else { return Ok(None) };
        Ok(if self.preference.prefers(new, best, self.problem)? { None } else { Some(best) })
    }

    /// Records a point on the way, which is a result if the protocol says so.
    fn record(&mut self, visited: Visited, label: Label) -> Result<(), AttackError> {
        match self.problem.setup().choices.iterate {
            Iterate::Best => self.enter(visited, label),
            Iterate::Last => self.note(&visited, label),
        }
    }

    /// Records a point that may be the result.
    fn enter(&mut self, visited: Visited, label: Label) -> Result<(), AttackError> {
        self.note(&visited, label)?;
        let beaten = |best: &Option<Visited>| Ok::<_, AttackError>(self.better(best.as_ref(), &visited)?.is_none());
        let (first, first_of_round) = (beaten(&self.best)?, beaten(&self.round)?);
        if first {
            self.best = Some(visited.clone());
        }
        if first_of_round {
            self.round = Some(visited);
        }
        Ok(())
    }

    fn note(&mut self, visited: &Visited, label: Label) -> Result<(), AttackError> {
        let Visited { at, x, evaluation, .. } = visited;
        let Measured { distance, zero_gradient_share } = measure(self.problem.ball(), x, label.gradient)?;
        let radius = self.problem.ball().radius();
        let prompt = match (label.prompt, &self.under) {
            (None, Some(under)) => under.tried(evaluation, self.clean())?,
            (tried, _) => tried,
        };
        let family = prompt.as_ref().and_then(|prompt| Some(prompt.family?.name().to_owned()));
        let record = StepRecord {
            restart: at.restart,
            step: at.step,
            loss: evaluation.loss,
            dsc: evaluation.dsc,
            target_dsc: evaluation.target_dsc,
            budget_used: radius.is_finite().then(|| if radius > 0. { distance / radius } else { 0. }),
            zero_gradient_share,
            tried: label.tried.or(family).or_else(|| self.role.as_ref().map(|role| role.name.clone())),
            prompt,
        };
        self.met = self.preference.meets(evaluation);
        self.watcher.visited(&record);
        self.records.push(record);
        self.now.step += 1;
        self.state.clear();
        Ok(())
    }

    /// Everything that was noted; `None` if no restart was finished.
    pub fn into_parts(self) -> Option<Noted> {
        let Self { records, remarks, certificate, .. } = self;
        Some(Noted { records, best: self.best?, file: self.file?, remarks, certificate })
    }
}
