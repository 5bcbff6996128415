//! The engine's thread: gather questions, answer them, repeat.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::Instant;

use super::admission::Admission;
use super::batch::{self, Query};
use super::cost::Cost;
use super::text::{self, TextQuery};
use super::waiting::{Asked, Waiting};
use super::{EngineConfig, EngineError, State, lock};
use crate::model::{Conditioning, ModelError, Question, SegmentationModel};
use crate::oracle::OracleError;

/// What the rows and handles tell the thread.
pub(super) enum Command {
    Prepare {
        prompt: String,
        reply: SyncSender<Result<Conditioning, ModelError>>,
    },
    Query(Query),
    Text(TextQuery),
    /// A row has gone: whoever waits for it should count again.
    Left,
    Stop,
}

pub(super) struct Scheduler {
    model: Box<dyn SegmentationModel>,
    inbox: Receiver<Command>,
    state: Arc<State>,
    config: EngineConfig,
    waiting: Waiting,
    lanes: [Lane; Question::ALL.len()],
}

/// What is known about calls of one kind.
struct Lane {
    admission: Admission,
    cost: Cost,
}

impl Scheduler {
    pub(super) fn new(
        model: Box<dyn SegmentationModel>,
        inbox: Receiver<Command>,
        state: Arc<State>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        let lane = |question| {
            Ok::<_, EngineError>(Lane { admission: Admission::new(&*model, question, config)?, cost: Cost::default() })
        };
        let [gradient, logits] = Question::ALL.map(lane);
        let lanes = [gradient?, logits?];
        Ok(Self { model, inbox, state, config, waiting: Waiting::default(), lanes })
    }

    pub(super) fn run(mut self) {
        while let Some(wanted) = self.gather() {
            self.step(wanted);
        }
    }

    /// Waits until a step is worth running: as many rows have asked as a call should have, or every live row has, or
    /// the first question of this step has waited long enough. Answers how many rows were wanted, and `None` when told
    /// to stop.
    fn gather(&mut self) -> Option<usize> {
        let mut began = Instant::now();
        loop {
            let live = self.state.live.load(Ordering::Acquire);
            let (command, wanted) = match self.waiting.next() {
                None => (self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected), 0),
                Some((question, rows)) => {
                    let wanted = self.wanted(question, live);
                    if rows >= wanted || self.waiting.len() >= live {
                        return Some(wanted);
                    }
                    (self.inbox.recv_timeout(self.config.gather.saturating_sub(began.elapsed())), wanted)
                }
            };
            match command {
                Ok(Command::Query(query)) => {
                    if self.waiting.next().is_none() {
                        began = Instant::now();
                    }
                    self.waiting.push(query);
                }
                Ok(Command::Prepare { prompt, reply }) => self.prepare(&prompt, &reply),
                Ok(Command::Text(query)) => self.text(query),
                Ok(Command::Left) => {}
                Ok(Command::Stop) | Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => return Some(wanted),
            }
        }
    }

    /// Rows that the next call of a kind should have while `live` are open.
    fn wanted(&self, question: Question, live: usize) -> usize {
        let Lane { admission, cost } = &self.lanes[question as usize];
        let most = admission.rows().min(live);
        cost.rows((self.config.min_batch, most), self.config.longest_call)
    }

    fn prepare(&self, prompt: &str, reply: &SyncSender<Result<Conditioning, ModelError>>) {
        if let Ok(prepared) = self.guarded(|model| model.prepare_prompt(prompt)) {
            // A caller that is gone needs no answer; after a panic, the closed channel is the answer.
            let _ = reply.send(prepared);
        }
    }

    /// Answers a question about a text at once.
    fn text(&self, query: TextQuery) {
        if query.cancel.is_cancelled() {
            return query.answer(Err(OracleError::Cancelled));
        }
        lock(&self.state.stats).steps += 1;
        let answer = match self.guarded(|model| text::run(model, &query)) {
            Ok(answer) => answer.map_err(|error| blame(&error)),
            Err(panic) => Err(OracleError::Model(panic)),
        };
        query.answer(answer);
    }

    /// Answers the kind of question whose turn it is, up to `wanted` rows of it; cancelled rows without any work.
    fn step(&mut self, wanted: usize) {
        for query in self.waiting.remove(|query| query.cancel.is_cancelled()) {
            query.answer(Err(OracleError::Cancelled));
        }
        let due = self.waiting.take(wanted);
        {
            let mut stats = lock(&self.state.stats);
            stats.steps += 1;
            stats.queue = self.waiting.len();
        }
        if let Some(query) = due.first() {
            self.answer(query.question(), due, wanted);
        }
    }

    /// Answers questions of one kind in one call of the model, if they fit.
    ///
    /// If the call fails it is tried again in halves, until the row that is to blame stands alone: a bad prompt or an
    /// image that overflows must not stop its neighbours, and half a batch may fit into the device's memory.
    fn answer(&mut self, question: Question, mut queries: Vec<Query>, wanted: usize) {
        let rows = queries.len();
        let most = self.lanes[question as usize].admission.rows();
        if rows > most {
            let rest = queries.split_off(most);
            self.answer(question, queries, most);
            return self.answer(question, rest, most);
        }
        *lock(&self.state.stats).batches_by_rows.entry(rows).or_default() += 1;
        let began = Instant::now();
        let answers = self.guarded(|model| batch::run(model, &queries));
        let seconds = began.elapsed().as_secs_f64();
        match answers {
            Ok(Ok(answers)) => {
                self.learn(question, |lane| {
                    lane.admission.fitted();
                    lane.cost.observe(rows, wanted, seconds);
                });
                lock(&self.state.stats).calls.entry(question).or_default().chosen_rows = wanted;
                queries.into_iter().zip(answers).for_each(|(query, answer)| query.answer(answer));
            }
            Ok(Err(error)) if rows > 1 => {
                if out_of_memory(&error) {
                    lock(&self.state.stats).halvings += 1;
                    self.learn(question, |lane| lane.admission.overflowed(rows));
                }
                let rest = queries.split_off(rows.div_ceil(2));
                self.answer(question, queries, rows);
                self.answer(question, rest, rows);
            }
            Ok(Err(error)) => queries.into_iter().for_each(|query| query.answer(Err(blame(&error)))),
            Err(panic) => queries.into_iter().for_each(|query| query.answer(Err(OracleError::Model(panic.clone())))),
        }
    }

    /// Takes a call into account, and tells the statistics.
    fn learn(&mut self, question: Question, how: impl FnOnce(&mut Lane)) {
        let lane = &mut self.lanes[question as usize];
        how(lane);
        let mut stats = lock(&self.state.stats);
        let calls = stats.calls.entry(question).or_default();
        calls.most_rows = lane.admission.rows();
        calls.seconds_by_rows = lane.cost.seconds();
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
