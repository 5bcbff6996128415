//! The one door to jobs: what the API and the worker pool share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::estimate::{self, Estimate};
use super::inputs::{Decoders, refuse};
use super::live::Live;
use super::store::{Cancelled, Deleted, Event, Filter, JobStore, Page};
use super::{Catalogue, Hosts, Job, JobError, JobId, JobSpec, State};
use crate::artifact::{Artifacts, Blob, layout};
use crate::config::{Config, LimitsConfig, QueueConfig};
use crate::imaging::{Decoded, Limits, Mask, Selection, decode};

/// How long [`Changes::next`] waits: changes by other processes are seen by looking.
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// What a caller hands in.
#[derive(Debug, Clone)]
pub struct Upload {
    pub image: Bytes,
    pub mask: Option<Bytes>,
    pub target_mask: Option<Bytes>,
    pub allowed_region: Option<Bytes>,
    pub perturbation: Option<Bytes>,
    pub spec: JobSpec,
}

/// Who submits, and in which request.
#[derive(Debug, Clone)]
pub struct Submission {
    pub caller: String,
    pub upload: Upload,
    pub idempotency_key: Option<String>,
    pub request_id: Option<String>,
    /// Unfinished jobs this caller may have; the configured limit if `None`.
    pub max_unfinished: Option<u64>,
}

/// Tells when it is worth looking again.
#[derive(Debug)]
pub struct Changes(watch::Receiver<u64>);

impl Changes {
    /// Ends when some job may have changed since the last time, at the latest after a second.
    pub async fn next(&mut self) {
        // Neither a change nor a second without one is more than a reason to look again.
        let _ = tokio::time::timeout(LONGEST_WAIT, self.0.changed()).await;
    }
}

/// Jobs: submit, look, stop, fetch. Clones are the same.
#[derive(Debug, Clone)]
pub struct Jobs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Arc<dyn JobStore>,
    artifacts: Artifacts,
    hosts: Hosts,
    catalogue: Catalogue,
    decoders: Decoders,
    limits: Limits,
    queue: QueueConfig,
    live: Live,
    closing: AtomicBool,
}

impl Jobs {
    /// Jobs of a store, with their files: requests may name the models of the catalogue, jobs run on those of `hosts`.
    pub fn new(
        store: Arc<dyn JobStore>,
        artifacts: Artifacts,
        (hosts, catalogue): (Hosts, Catalogue),
        config: &Config,
    ) -> Self {
        let LimitsConfig { body_bytes, pixels, side, decoders, waiting_bytes, uploads: _ } = config.limits.clone();
        Self(Arc::new(Shared {
            store,
            artifacts,
            hosts,
            catalogue,
            decoders: Decoders::new(decoders, waiting_bytes),
            limits: Limits { bytes: body_bytes, pixels, side },
            queue: config.queue.clone(),
            live: Live::default(),
            closing: AtomicBool::new(false),
        }))
    }

    /// A job by name.
    ///
    /// # Errors
    /// [`JobError::Absent`].
    pub async fn find(&self, id: JobId) -> Result<Job, JobError> {
        self.store().find(id).await?.ok_or(JobError::Absent)
    }

    /// Jobs, newest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<Job>, JobError> {
        Ok(self.store().list(filter, page).await?)
    }

    /// When a job is expected to end.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn estimate(&self, job: &Job) -> Result<Estimate, JobError> {
        let place = match job.state {
            State::Queued => self.store().place(job.id).await?,
            _ => None,
        };
        let seconds = self.catalogue().step_seconds(&job.model);
        Ok(Estimate::new(job, place, seconds))
    }

    /// Seconds until the queue is expected to have room, from 1 to 300: what `Retry-After` says.
    pub async fn retry_after_seconds(&self) -> u64 {
        // A store that cannot count is busy or gone; the shortest pause is as good as any.
        let counts = self.store().counts().await.unwrap_or_default();
        estimate::retry_after_seconds(self.catalogue(), counts)
    }

    /// Stops a job: a queued one at once, a running one at its next step.
    ///
    /// # Errors
    /// [`JobError::Absent`].
    pub async fn cancel(&self, id: JobId) -> Result<Cancelled, JobError> {
        let cancelled = self.store().cancel(id).await?.ok_or(JobError::Absent)?;
        match cancelled {
            Cancelled::Requested(_) => self.0.live.cancel(id),
            Cancelled::Done(_) => metrics::counter!("segprobe_jobs_total", "outcome" => "cancelled").increment(1),
            Cancelled::TooLate(_) => {}
        }
        Ok(cancelled)
    }

    /// Removes a job that has ended and its files.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn delete(&self, id: JobId) -> Result<Deleted, JobError> {
        let deleted = self.store().delete(id).await?;
        if deleted == Deleted::Done {
            self.forget_files(id).await;
        }
        Ok(deleted)
    }

    /// Events after a sequence number. Waits for none: see [`Self::changes`].
    ///
    /// # Errors
    /// Those of the store.
    pub async fn events(&self, id: JobId, after: i64) -> Result<Vec<Event>, JobError> {
        Ok(self.store().events(id, after).await?)
    }

    /// Tells when jobs may have changed from now on. Ask for it before looking at a job, and no change is missed.
    pub fn changes(&self) -> Changes {
        Changes(self.store().changes())
    }

    /// An artifact of a succeeded job, `None` if it has none of that name.
    ///
    /// # Errors
    /// [`JobError::Artifact`] if its bytes are not those that were written.
    pub async fn artifact(&self, job: &Job, name: &str) -> Result<Option<Blob>, JobError> {
        let records = job.outcome.iter().flat_map(|outcome| &outcome.artifacts);
        let Some(record) = records.into_iter().find(|record| record.name == name) else { return Ok(None) };
        let prefix = layout::attempt(job.id.0, job.attempt);
        let bytes = self.artifacts().get_verified(&prefix, &record.name, &record.sha256).await?;
        let (content_type, sha256) = (record.content_type.clone(), record.sha256.clone());
        Ok(Some(Blob { content_type, sha256, bytes }))
    }

    /// Reads a picture for the part of a request at `pointer`, under the same limits as those of jobs.
    ///
    /// # Errors
    /// [`JobError::Busy`], [`JobError::Picture`].
    pub async fn picture(
        &self,
        bytes: Bytes,
        pointer: &'static str,
        selection: Selection,
    ) -> Result<Decoded, JobError> {
        let limits = self.limits().clone();
        let read =
            self.decoders().run(bytes.len() as u64, move || decode::decode_with(&bytes, &limits, &selection)).await?;
        read.map_err(|source| refuse(pointer, source))
    }

    /// Reads a mask for the part of a request at `pointer`, under the same limits as those of jobs.
    ///
    /// # Errors
    /// [`JobError::Busy`], [`JobError::Picture`].
    pub async fn mask(&self, bytes: Bytes, pointer: &'static str) -> Result<Mask, JobError> {
        let limits = self.limits().clone();
        let read = self.decoders().run(bytes.len() as u64, move || decode::decode_mask(&bytes, &limits)).await?;
        read.map_err(|source| JobError::Picture { pointer, source })
    }

    /// Refuses submissions from now on; all else goes on.
    pub fn begin_shutdown(&self) {
        self.0.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn check_open(&self) -> Result<(), JobError> {
        if self.0.closing.load(Ordering::Relaxed) { Err(JobError::ShuttingDown) } else { Ok(()) }
    }

    /// Deletes the files of a job that does not exist; what cannot be deleted now is left to the janitor.
    pub(super) async fn forget_files(&self, id: JobId) {
        for prefix in [layout::inputs(id.0), layout::attacks(id.0), layout::checkpoints(id.0)] {
            if let Err(error) = self.artifacts().delete(&prefix).await {
                tracing::warn!(job = %id, %error, "files are left to the janitor");
            }
        }
    }

    pub(super) fn store(&self) -> &dyn JobStore {
        &*self.0.store
    }

    pub(super) fn shared_store(&self) -> Arc<dyn JobStore> {
        self.0.store.clone()
    }

    pub(super) fn artifacts(&self) -> &Artifacts {
        &self.0.artifacts
    }

    /// The models that requests may name.
    pub fn catalogue(&self) -> &Catalogue {
        &self.0.catalogue
    }

    /// The models of this process.
    pub(crate) fn hosts(&self) -> &Hosts {
        &self.0.hosts
    }

    pub(super) fn live(&self) -> &Live {
        &self.0.live
    }

    pub(super) fn decoders(&self) -> &Decoders {
        &self.0.decoders
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(super) fn queue_config(&self) -> &QueueConfig {
        &self.0.queue
    }
}
