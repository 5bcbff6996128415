//! The state of a running attack in the artifact store, from which another attempt goes on.
//!
//! The attack's thread offers a state every few seconds and when it is told to stop; a task beside it writes the newest.
//! States are never changed: each lies under a name of its own, and the ones before it are deleted. A state that cannot
//! be read, or is of another request or model, is passed over: then the attack begins anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::Device;
use object_store::path::Path;
use tokio::sync::watch;

use super::follow::Follow;
use crate::artifact::{ArtifactError, Artifacts, layout};
use crate::attack::{Checkpoint, CheckpointError, StepRecord, Watcher};
use crate::engine::Engine;
use crate::jobs::{Host, Job, Jobs};
use crate::report::manifest::sha256;

const NAME: &str = "state.safetensors";

/// The states of one job, as one attempt sees them.
#[derive(Debug)]
pub(super) struct Checkpoints {
    artifacts: Artifacts,
    /// Above all states of the job.
    above: Path,
    attempt: u32,
    /// Of all that an attack's state depends on.
    fingerprint: String,
    every: Option<Duration>,
    /// Whether there may be any.
    used: AtomicBool,
}

impl Checkpoints {
    pub(super) fn new(jobs: &Jobs, job: &Job, host: &Host, engine: &Engine) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let parts = (version, &job.spec, &job.inputs, &host.identity, engine.precision().name());
        let parts = serde_json::to_vec(&parts).expect("string keys and plain values are valid JSON");
        let seconds = jobs.queue_config().checkpoint_seconds;
        Self {
            artifacts: jobs.artifacts().clone(),
            above: layout::checkpoints(job.id.0),
            attempt: job.attempt,
            fingerprint: sha256(&parts),
            every: (seconds > 0).then(|| Duration::from_secs(seconds)),
            used: AtomicBool::new(false),
        }
    }

    /// Whether there may be states that the end of the job makes useless.
    pub(super) fn are_used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// The state that has come farthest, if an attempt before this one left any.
    pub(super) async fn load(&self, device: &Device) -> Option<Checkpoint> {
        if self.attempt <= 1 {
            return None;
        }
        let mut names = match self.artifacts.below(&self.above).await {
            Ok(names) => names,
            Err(error) => {
                tracing::warn!(%error, "an attack begins anew: its checkpoints cannot be listed");
                return None;
            }
        };
        names.sort_by_key(|name| std::cmp::Reverse(points(name)));
        self.used.fetch_or(!names.is_empty(), Ordering::Relaxed);
        for name in names {
            match self.read(&name, device).await {
                Ok(Some(checkpoint)) => return Some(checkpoint),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a checkpoint is passed over"),
            }
        }
        None
    }

    async fn read(&self, name: &str, device: &Device) -> Result<Option<Checkpoint>, Unusable> {
        let Some(bytes) = self.artifacts.get(&self.above.clone().join(name), NAME).await? else { return Ok(None) };
        Ok(Some(Checkpoint::from_bytes(&bytes, &self.fingerprint, device)?))
    }

    /// Writes the newest state again and again, until the attack has ended and its last one is written.
    pub(super) async fn follow(&self, mut newest: watch::Receiver<Option<Checkpoint>>) {
        let mut before = None;
        while newest.changed().await.is_ok() {
            let Some(checkpoint) = newest.borrow_and_update().clone() else { continue };
            match self.write(checkpoint).await {
                Ok(name) => {
                    if let Some(old) = before.replace(name).filter(|old| before.as_ref() != Some(old))
                        && let Err(error) = self.artifacts.delete(&self.above.clone().join(old)).await
                    {
                        tracing::warn!(%error, "a checkpoint is left until its job ends");
                    }
                }
                Err(error) => tracing::warn!(%error, "a checkpoint could not be written"),
            }
        }
    }

    async fn write(&self, checkpoint: Checkpoint) -> Result<String, Unusable> {
        // as many digits as points can have, so that names sort by them
        let name = format!("{:010}-{}", checkpoint.records().len(), self.attempt);
        let fingerprint = self.fingerprint.clone();
        let bytes = tokio::task::spawn_blocking(move || checkpoint.to_bytes(&fingerprint)).await;
        let bytes = bytes.map_err(|error| CheckpointError::Damaged(error.to_string()))??;
        self.used.store(true, Ordering::Relaxed);
        self.artifacts.put(&self.above.clone().join(name.as_str()), NAME, bytes.into()).await?;
        Ok(name)
    }

    /// The attack's side: tells `follow` about every point, and hands states to the other side of `newest`.
    pub(super) fn watcher<N: FnMut(&StepRecord)>(
        &self,
        resumes: Option<Checkpoint>,
        newest: watch::Sender<Option<Checkpoint>>,
        (note, follow): (N, &Follow),
    ) -> AttackWatcher<N> {
        if let Some(checkpoint) = &resumes {
            follow.go_on_after(checkpoint.records());
        }
        AttackWatcher { note, resumes, newest, every: self.every, last: Instant::now() }
    }
}

/// The number of points that a name begins with.
fn points(name: &str) -> u64 {
    name.split('-').next().and_then(|points| points.parse().ok()).unwrap_or(0)
}

/// Why a state could not be used or kept.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// What an attack tells, and what it may go on from.
pub(super) struct AttackWatcher<N> {
    note: N,
    resumes: Option<Checkpoint>,
    newest: watch::Sender<Option<Checkpoint>>,
    every: Option<Duration>,
    last: Instant,
}

impl<N: FnMut(&StepRecord)> Watcher for AttackWatcher<N> {
    fn visited(&mut self, record: &StepRecord) {
        (self.note)(record);
    }

    fn resumes(&mut self) -> Option<Checkpoint> {
        self.resumes.take()
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.every.is_some_and(|every| self.last.elapsed() >= every)
    }

    fn keep(&mut self, checkpoint: Checkpoint) {
        self.last = Instant::now();
        self.newest.send_replace(Some(checkpoint));
    }
}
