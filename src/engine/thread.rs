//! The engine's thread: gather questions, answer them, repeat.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::batch::{self, Query};
use super::{State, lock};
use crate::model::{Conditioning, ModelError, SegmentationModel};
use crate::oracle::OracleError;

/// What the rows and handles tell the thread.
pub(super) enum Command {
    Prepare {
        prompt: String,
        reply: SyncSender<Result<Conditioning, ModelError>>,
    },
    Query(Query),
    /// A row has gone: whoever waits for it should count again.
    Left,
    Stop,
}

pub(super) struct Scheduler {
    model: Box<dyn SegmentationModel>,
    inbox: Receiver<Command>,
    state: Arc<State>,
    gather: Duration,
    max_batch: usize,
    pending: VecDeque<Query>,
}

impl Scheduler {
    pub(super) fn new(
        model: Box<dyn SegmentationModel>,
        inbox: Receiver<Command>,
        state: Arc<State>,
        config: super::EngineConfig,
    ) -> Self {
        let max_batch = config.max_batch.max(1);
        lock(&state.stats).max_batch = max_batch;
        Self { model, inbox, state, gather: config.gather, max_batch, pending: VecDeque::new() }
    }

    pub(super) fn run(mut self) {
        while self.gather() {
            self.step();
        }
    }

    /// Waits until a step is worth running: every live row has asked, or enough of them for a full batch, or the
    /// first question of this step has waited long enough. Answers false when told to stop.
    fn gather(&mut self) -> bool {
        let mut began = Instant::now();
        while self.pending.is_empty() || self.pending.len() < self.live_rows().min(self.max_batch) {
            let command = if self.pending.is_empty() {
                self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                self.inbox.recv_timeout(self.gather.saturating_sub(began.elapsed()))
            };
            match command {
                Ok(Command::Query(query)) => {
                    if self.pending.is_empty() {
                        began = Instant::now();
                    }
                    self.pending.push_back(query);
                }
                Ok(Command::Prepare { prompt, reply }) => self.prepare(&prompt, &reply),
                Ok(Command::Left) => {}
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
        }
        true
    }

    fn live_rows(&self) -> usize {
        self.state.live.load(Ordering::Acquire)
    }

    fn prepare(&self, prompt: &str, reply: &SyncSender<Result<Conditioning, ModelError>>) {
        if let Ok(prepared) = self.guarded(|model| model.prepare_prompt(prompt)) {
            // A caller that is gone needs no answer; after a panic, the closed channel is the answer.
            let _ = reply.send(prepared);
        }
    }

    /// Answers up to one full batch of questions, those of cancelled rows without any work.
    fn step(&mut self) {
        let mut due = Vec::new();
        while due.len() < self.max_batch
            && let Some(query) = self.pending.pop_front()
        {
            if query.cancel.is_cancelled() {
                query.answer(Err(OracleError::Cancelled));
            } else {
                due.push(query);
            }
        }
        {
            let mut stats = lock(&self.state.stats);
            stats.steps += 1;
            stats.queue = self.pending.len();
        }
        let (gradients, logits): (Vec<_>, Vec<_>) = due.into_iter().partition(|query| query.gradient_of.is_some());
        self.answer(gradients);
        self.answer(logits);
    }

    /// Answers questions of one kind in one call of the model, if they fit.
    ///
    /// If the call fails it is tried again in halves, until the row that is to blame stands alone: a bad prompt or an
    /// image that overflows must not stop its neighbours, and half a batch may fit into the device's memory.
    fn answer(&mut self, mut queries: Vec<Query>) {
        if queries.len() > self.max_batch {
            let rest = queries.split_off(self.max_batch);
            self.answer(queries);
            return self.answer(rest);
        }
        let rows = queries.len();
        if rows == 0 {
            return;
        }
        *lock(&self.state.stats).batches_by_rows.entry(rows).or_default() += 1;
        match self.guarded(|model| batch::run(model, &queries)) {
            Ok(Ok(answers)) => queries.into_iter().zip(answers).for_each(|(query, answer)| query.answer(answer)),
            Ok(Err(error)) if rows > 1 => {
                if out_of_memory(&error) {
                    self.max_batch = rows.div_ceil(2);
                    let mut stats = lock(&self.state.stats);
                    stats.max_batch = self.max_batch;
                    stats.halvings += 1;
                }
                let rest = queries.split_off(rows.div_ceil(2));
                self.answer(queries);
                self.answer(rest);
            }
            Ok(Err(error)) => queries.into_iter().for_each(|query| query.answer(Err(blame(&error)))),
            Err(panic) => queries.into_iter().for_each(|query| query.answer(Err(OracleError::Model(panic.clone())))),
        }
    }

    /// Calls the model unless it has panicked before; if it panics, it is not called again.
    fn guarded<T>(&self, work: impl FnOnce(&dyn SegmentationModel) -> T) -> Result<T, String> {
        if let Some(failure) = self.state.failure.get() {
            return Err(failure.clone());
        }
        catch_unwind(AssertUnwindSafe(|| work(&*self.model))).map_err(|payload| {
            let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
            let text = text.unwrap_or("no message");
            self.state.failure.get_or_init(|| format!("the model panicked ({text}): restart the engine")).clone()
        })
    }
}

fn out_of_memory(error: &ModelError) -> bool {
    error.to_string().to_lowercase().replace('_', " ").contains("out of memory")
}

fn blame(error: &ModelError) -> OracleError {
    match error {
        ModelError::Gradient(what) => OracleError::Gradient((*what).into()),
        other => OracleError::Model(other.to_string()),
    }
}
