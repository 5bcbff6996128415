//! What happened on the way: a record of every step, and the best point that was visited.

use candle_core::Tensor;
use serde::Serialize;
use utoipa::ToSchema;

use super::evaluation::Evaluation;
use super::measure::{Measured, measure};
use super::problem::Problem;
use crate::attack::AttackError;
use crate::attack::protocol::Iterate;
use crate::oracle::{Answer, Oracle, OracleError};

/// One visited point, in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
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
    /// The perturbation as a share of the budget, in the budget's norm; 0 for a budget of 0.
    pub budget_used: f64,
    /// The share of entries within the region whose gradient is exactly 0, if a gradient was asked for.
    pub zero_gradient_share: Option<f64>,
}

/// Where a result came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
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
    /// What the model said.
    pub evaluation: Evaluation,
}

/// Follows an attack step by step.
pub struct Tracker<'a> {
    problem: &'a Problem,
    progress: &'a mut dyn FnMut(&StepRecord),
    now: At,
    records: Vec<StepRecord>,
    best: Option<Visited>,
    last: Option<Visited>,
}

impl<'a> Tracker<'a> {
    /// A tracker that tells `progress` about every step.
    pub fn new(problem: &'a Problem, progress: &'a mut dyn FnMut(&StepRecord)) -> Self {
        Self { problem, progress, now: At { restart: 0, step: 0 }, records: vec![], best: None, last: None }
    }

    /// Begins a restart at its step 0.
    pub fn begin(&mut self, restart: usize) {
        self.now = At { restart, step: 0 };
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
        self.record(x, evaluation, Some(&answer.gradient), Iterate::Best)
    }

    /// Asks the oracle about the last point of a restart and records it.
    ///
    /// # Errors
    /// Those of the oracle, and a loss that is not finite.
    pub fn finish(&mut self, x: &Tensor, oracle: &mut dyn Oracle) -> Result<(), AttackError> {
        let (loss, logits) = oracle.loss(x)?;
        let evaluation = self.problem.score(loss, &logits)?;
        self.record(x, evaluation, None, Iterate::Last)
    }

    fn record(
        &mut self,
        x: &Tensor,
        evaluation: Evaluation,
        gradient: Option<&Tensor>,
        kind: Iterate,
    ) -> Result<(), AttackError> {
        let Measured { distance, zero_gradient_share } = measure(self.problem.ball(), x, gradient)?;
        let radius = self.problem.ball().radius();
        let record = StepRecord {
            restart: self.now.restart,
            step: self.now.step,
            loss: evaluation.loss,
            dsc: evaluation.dsc,
            target_dsc: evaluation.target_dsc,
            budget_used: if radius > 0. { distance / radius } else { 0. },
            zero_gradient_share,
        };
        (self.progress)(&record);
        self.records.push(record);
        let visited = Visited { at: self.now, x: x.clone(), evaluation };
        let eligible = kind == Iterate::Last || self.problem.setup().choices.iterate == Iterate::Best;
        if eligible && self.best.as_ref().is_none_or(|best| visited.evaluation.beats(&best.evaluation)) {
            self.best = Some(visited.clone());
        }
        self.last = Some(visited);
        self.now.step += 1;
        Ok(())
    }

    /// The records, the best point and the last one, or `None` if nothing was visited.
    pub fn into_parts(self) -> Option<(Vec<StepRecord>, Visited, Visited)> {
        Some((self.records, self.best?, self.last?))
    }
}
