//! Where an attempt stands: written by the attack's thread, read by its heartbeat.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use crate::attack::StepRecord;
use crate::jobs::{Host, Progress};

/// Most points of an attack that are kept for its trace.
const MILESTONES: u64 = 32;

/// A point that an attack passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Milestone {
    pub(super) at: SystemTime,
    /// Points visited so far.
    pub(super) step: u64,
    pub(super) loss: f32,
    pub(super) dsc: f64,
    /// Attacks that shared the model.
    pub(super) rows: usize,
}

/// Follows an attack step by step. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Follow(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    progress: Progress,
    /// Of the point that `progress.best_dsc` comes from.
    best_target_dsc: Option<f64>,
    /// When this attempt came to its first point, and which point that was.
    began: Option<(Instant, u64)>,
    last: Option<Instant>,
    on_device: bool,
    /// Points of this attempt, and the attacks that shared the model at each.
    points: u64,
    rows: u64,
    /// At most [`MILESTONES`], evenly spaced.
    milestones: Vec<Milestone>,
}

impl Follow {
    /// An attack that will visit `points`.
    pub(super) fn new(points: u64) -> Self {
        let progress = Progress { steps: points, ..Progress::default() };
        Self(Arc::new(Mutex::new(State {
            progress,
            best_target_dsc: None,
            began: None,
            last: None,
            on_device: false,
            points: 0,
            rows: 0,
            milestones: Vec::new(),
        })))
    }

    /// From now on all movement has to come from the model's answers.
    pub(super) fn enter_device(&self) {
        self.lock().on_device = true;
    }

    /// From now on the work is this process's own, and goes on as long as the process does.
    pub(super) fn leave_device(&self) {
        self.lock().on_device = false;
    }

    /// The attack has ended; it may have visited fewer points than it might have.
    pub(super) fn complete(&self) {
        let mut state = self.lock();
        state.progress.steps = state.progress.step;
    }

    pub(super) fn is_on_device(&self) -> bool {
        self.lock().on_device
    }

    pub(super) fn progress(&self) -> Progress {
        self.lock().progress.clone()
    }

    /// The points that a trace shows.
    pub(super) fn milestones(&self) -> Vec<Milestone> {
        self.lock().milestones.clone()
    }

    /// Mean number of attacks that shared the model; `None` before the first point.
    pub(super) fn mean_rows(&self) -> Option<f64> {
        let state = self.lock();
        (state.points > 0).then(|| state.rows as f64 / state.points as f64)
    }

    /// Takes a visited point into account, for the attack and for the pace of its model, which `rows` attacks share.
    pub(super) fn note(&self, record: &StepRecord, host: &Host, rows: usize) {
        let now = Instant::now();
        let mut state = self.lock();
        if let Some(last) = state.last.replace(now) {
            let seconds = now.duration_since(last).as_secs_f64();
            host.pace.answered(seconds, rows);
            metrics::histogram!("segprobe_step_seconds").record(seconds);
        }
        state.note(record);
        state.pass(record, rows);
        let step = state.progress.step;
        let (began, first) = *state.began.get_or_insert((now, step));
        if step > first {
            let seconds = now.duration_since(began).as_secs_f64();
            state.progress.step_seconds = Some(seconds / (step - first) as f64);
        }
    }

    /// Takes the points into account that an attempt before this one visited.
    pub(super) fn go_on_after(&self, records: &[StepRecord]) {
        let mut state = self.lock();
        records.iter().for_each(|record| state.note(record));
    }

    /// No invariant spans the lock, so a panic elsewhere leaves the value usable.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn note(&mut self, record: &StepRecord) {
        let nearer = match (record.target_dsc, self.best_target_dsc) {
            (Some(now), Some(best)) => now > best,
            _ => self.progress.best_dsc.is_none_or(|best| record.target_dsc.is_some() || record.dsc < best),
        };
        if nearer {
            self.best_target_dsc = record.target_dsc;
            self.progress.best_dsc = Some(record.dsc);
        }
        self.progress.step += 1;
        self.progress.dsc = Some(record.dsc);
        self.progress.loss = Some(record.loss);
    }

    fn pass(&mut self, record: &StepRecord, rows: usize) {
        self.points += 1;
        self.rows += rows as u64;
        let step = self.progress.step;
        let every = self.progress.steps.div_ceil(MILESTONES).max(1);
        if step.is_multiple_of(every) && (self.milestones.len() as u64) < MILESTONES {
            let at = SystemTime::now();
            self.milestones.push(Milestone { at, step, loss: record.loss, dsc: record.dsc, rows });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(dsc: f64, target_dsc: Option<f64>) -> StepRecord {
        StepRecord {
            restart: 0,
            step: 0,
            loss: 0.5,
            dsc,
            target_dsc,
            budget_used: None,
            zero_gradient_share: None,
            tried: None,
            prompt: None,
        }
    }

    fn best(records: &[(f64, Option<f64>)]) -> Option<f64> {
        let follow = Follow::new(10);
        records.iter().for_each(|(dsc, target)| follow.lock().note(&record(*dsc, *target)));
        assert_eq!(follow.progress().step, records.len() as u64);
        assert_eq!(follow.progress().dsc, records.last().map(|(dsc, _)| *dsc));
        follow.progress().best_dsc
    }

    #[test]
    fn a_trace_shows_a_bounded_number_of_points() {
        let passed = |points: u64, visited: u64| -> Vec<u64> {
            let follow = Follow::new(points);
            for _ in 0..visited {
                let mut state = follow.lock();
                state.note(&record(0.5, None));
                state.pass(&record(0.5, None), 3);
            }
            assert_eq!(follow.mean_rows(), (visited > 0).then_some(3.));
            follow.milestones().iter().map(|seen| seen.step).collect()
        };
        assert_eq!(passed(3, 3), [1, 2, 3]);
        assert_eq!(passed(10_000, 0), [0; 0]);
        let many = passed(10_000, 20_000);
        assert_eq!((many.len(), many[0], many[31]), (32, 313, 10_016));
        assert_eq!(passed(40, 40).len(), 20);
    }

    #[test]
    fn the_best_point_is_the_lowest_or_the_nearest_to_the_target() {
        assert_eq!(best(&[]), None);
        assert_eq!(best(&[(0.9, None), (0.2, None), (0.5, None)]), Some(0.2));
        assert_eq!(best(&[(0.9, Some(0.1)), (0.4, Some(0.7)), (0.1, Some(0.6))]), Some(0.4));
    }
}
