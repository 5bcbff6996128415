//! The thread that owns the model and batches the questions of all running attacks.
//!
//! An attack is plain sequential code on a thread of its own. It holds a [`Row`] and asks it questions; the
//! engine gathers the questions of all rows, answers them in one call of the model, and goes on to the next
//! step. Rows come and go between two steps, so the model works on full batches although no attack knows of
//! another. How many rows a call should have is learnt from how long calls take (`cost`), within what fits into memory
//! (`admission`); whose turn it is goes by who has waited longest (`waiting`).
//!
//! Work that concerns one row only (resizing its image, pulling its gradient back, its sign) is done on the
//! row's thread. Losses and gradients are computed row by row, never from a sum over the batch: with a
//! model that does the same, a row gets the same bytes whoever its neighbours are.

mod admission;
mod batch;
mod cancel;
mod config;
mod cost;
mod free;
mod objective;
mod prompts;
mod row;
mod stats;
#[cfg(test)]
mod tests;
mod text;
mod thread;
#[cfg(test)]
mod toy;
mod waiting;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use candle_core::{Device, Tensor};

pub use cancel::CancelToken;
pub use config::EngineConfig;
pub use objective::{Goal, Objective};
pub use row::{Row, RowSpec, Space};
pub use stats::{Calls, EngineStats};

use crate::loss::Loss;
use crate::model::{Conditioning, ModelError, Precision, Preprocess, SegmentationModel, Vocabulary};
use crate::oracle::{Oracle, OracleError};
use prompts::PromptCache;
use thread::{Command, Scheduler};

/// Candle walks and drops its graph recursively; the default stack is too small for a deep network.
const STACK_BYTES: usize = 16 << 20;

/// Room in the inbox; its memory is taken at once.
const MOST_COMMANDS: usize = 1024;

/// What can go wrong around an engine, outside an attack's questions.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The operating system gave no thread.
    #[error("cannot start the engine's thread: {0}")]
    Spawn(#[source] std::io::Error),
    /// Not even one row fits into the memory that was configured.
    #[error("one image needs about {row} MiB, but the engine may take {limit} MiB: allow it more memory")]
    Memory {
        /// MiB of one row.
        row: u64,
        /// MiB that were configured.
        limit: u64,
    },
    /// The engine was shut down, or its model panicked.
    #[error("{0}")]
    Stopped(String),
    /// The model refused.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// A handle to the thread that owns a model; clones are the same engine.
///
/// The thread ends, and the model is freed, when the last handle and the last [`Row`] are dropped.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

/// What all handles and rows share.
#[derive(Debug)]
struct Shared {
    name: String,
    input: Preprocess,
    device: Device,
    precision: Precision,
    vocabulary: Option<Arc<Vocabulary>>,
    max_rows: usize,
    state: Arc<State>,
    prompts: Mutex<PromptCache>,
    inbox: SyncSender<Command>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What handles and rows share with the thread.
#[derive(Debug, Default)]
struct State {
    /// Rows open now.
    live: AtomicUsize,
    /// Why the model is not called any more.
    failure: OnceLock<String>,
    stats: Mutex<EngineStats>,
}

impl Engine {
    /// Starts a thread for `model`.
    ///
    /// # Errors
    /// [`EngineError::Spawn`], [`EngineError::Memory`].
    pub fn spawn(model: Box<dyn SegmentationModel>, config: EngineConfig) -> Result<Self, EngineError> {
        let (name, input, device) = (model.name().to_owned(), model.preprocess().clone(), model.device().clone());
        let (precision, vocabulary) = (model.precision(), model.vocabulary());
        // A row has one question in flight; who finds the inbox full waits his turn.
        let (inbox, commands) = sync_channel(config.max_rows.clamp(1, MOST_COMMANDS));
        let state = Arc::new(State::default());
        let scheduler = Scheduler::new(model, commands, state.clone(), config)?;
        let thread = std::thread::Builder::new()
            .name("engine".into())
            .stack_size(STACK_BYTES)
            .spawn(move || scheduler.run())
            .map_err(EngineError::Spawn)?;
        Ok(Self(Arc::new(Shared {
            name,
            input,
            device,
            precision,
            vocabulary,
            max_rows: config.max_rows,
            state,
            prompts: Mutex::default(),
            inbox,
            thread: Mutex::new(Some(thread)),
        })))
    }

    /// Name of the model's architecture and checkpoint.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How an image becomes the network's input.
    pub fn input(&self) -> &Preprocess {
        &self.0.input
    }

    /// Where the model works. Questions may come from any device; those from this one are not copied.
    pub fn device(&self) -> &Device {
        &self.0.device
    }

    /// The arithmetic of answers with a gradient; logits alone are computed in f32.
    pub fn precision(&self) -> Precision {
        self.0.precision
    }

    /// How the model reads texts, if it reads them as tokens.
    pub fn vocabulary(&self) -> Option<Arc<Vocabulary>> {
        self.0.vocabulary.clone()
    }

    /// What the engine has done so far.
    pub fn stats(&self) -> EngineStats {
        EngineStats { rows: self.rows(), ..lock(&self.0.state.stats).clone() }
    }

    /// Rows open now.
    pub fn rows(&self) -> usize {
        self.0.state.live.load(Ordering::Acquire)
    }

    /// Why the model is not called any more; `None` while the engine is healthy. It does not recover.
    pub fn failure(&self) -> Option<&str> {
        self.0.state.failure.get().map(String::as_str)
    }

    /// Encodes a prompt, or finds it among those encoded before.
    ///
    /// # Errors
    /// [`EngineError::Model`] if the prompt cannot be used, [`EngineError::Stopped`].
    pub fn prepare(&self, prompt: &str) -> Result<Conditioning, EngineError> {
        if let Some(known) = lock(&self.0.prompts).get(prompt) {
            return Ok(known);
        }
        let (reply, answer) = sync_channel(1);
        let asked = self.0.inbox.send(Command::Prepare { prompt: prompt.into(), reply });
        let conditioning = match asked.map(|()| answer.recv()) {
            Ok(Ok(prepared)) => prepared?,
            Ok(Err(_)) | Err(_) => return Err(EngineError::Stopped(self.0.why_stopped())),
        };
        lock(&self.0.prompts).insert(prompt, conditioning.clone());
        Ok(conditioning)
    }

    /// Opens a row: one attack's access to the model.
    ///
    /// # Errors
    /// [`OracleError::Full`] if there are `max_rows` of them, [`OracleError::Model`] if the target does not have the
    /// size of the network's input or the model panicked.
    pub fn open(&self, spec: RowSpec) -> Result<Row, OracleError> {
        if let Some(failure) = self.failure() {
            return Err(OracleError::Model(failure.into()));
        }
        let rows = self.0.max_rows;
        let one_more = |live| (live < rows).then_some(live + 1);
        let seat = self.0.state.live.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        seat.map_err(|_| OracleError::Full { rows })?;
        Row::new(Seat(self.clone()), spec)
    }

    /// The logits `[size, size]` of an image `[3, h, w]` in [0, 1]: a segmentation without an attack.
    ///
    /// # Errors
    /// As [`Self::open`]; what the model fails with.
    pub fn segment(&self, conditioning: &Conditioning, x: &Tensor) -> Result<Tensor, OracleError> {
        let target = Tensor::zeros((self.input().height, self.input().width), candle_core::DType::F32, self.device())?;
        let mut row = self.open(RowSpec {
            conditioning: conditioning.clone(),
            objective: Objective { loss: Loss::Bce, target, goal: Goal::Untargeted, counted: None },
            space: Space::Pixels,
            cancel: CancelToken::default(),
        })?;
        row.logits(x)
    }

    /// Stops the thread and waits for it; questions that wait are answered with an error, as are later ones.
    pub fn shutdown(&self) {
        self.0.stop();
    }
}

/// A counted place in the engine, given back when dropped.
#[derive(Debug)]
struct Seat(Engine);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.0.state.live.fetch_sub(1, Ordering::AcqRel);
        // Wakes a step that waits for this row; if the inbox is full, the thread is about to count anyway.
        let _ = self.0.0.inbox.try_send(Command::Left);
    }
}

impl Shared {
    fn why_stopped(&self) -> String {
        self.state.failure.get().cloned().unwrap_or_else(|| "the engine has stopped".into())
    }

    fn stop(&self) {
        // A thread that has ended already needs no word.
        let _ = self.inbox.send(Command::Stop);
        if let Some(thread) = lock(&self.thread).take() {
            // The thread catches the model's panics, and its own would have been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.stop();
    }
}

/// No invariant spans a lock here, so a panic elsewhere leaves the value usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
