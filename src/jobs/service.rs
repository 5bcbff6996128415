//! The one door to jobs: what the API and the worker pool share.

use std::sync::Arc;

use bytes::Bytes;

use super::spec::Window;
use super::store::{Cancelled, Deleted, Event, Filter, Page, Place, StoreError, Submitted};
use super::{Job, JobId, JobSpec, SpecError};
use crate::artifact::{ArtifactError, Blob};
use crate::imaging::{Decoded, ImagingError, Mask};

/// What a caller hands in.
#[derive(Debug, Clone)]
pub struct Upload {
    pub image: Bytes,
    pub mask: Option<Bytes>,
    pub target_mask: Option<Bytes>,
    pub allowed_region: Option<Bytes>,
    pub spec: JobSpec,
}

/// What to show of a file that holds more than one picture's worth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct View {
    /// Which frame of a DICOM or TIFF file with several, from 0.
    pub frame: Option<u32>,
    /// Which grey levels of a DICOM image become black and white.
    pub window: Option<Window>,
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

/// Why something could not be done with a job.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// A field that cannot be used.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A picture that cannot be used; the pointer is that of its part (`/image`, `/mask`, ...).
    #[error("{source}")]
    Picture { pointer: &'static str, source: ImagingError },
    /// The decoders are all busy.
    #[error("too many uploads are being read: try again later")]
    Busy,
    /// There is no such job (any more).
    #[error("there is no such attack")]
    Absent,
    /// The job has to end first.
    #[error("the attack has not ended: cancel it first")]
    NotFinal,
    /// Only an attack that has ended well can be repeated and compared.
    #[error("only a succeeded attack can be run again")]
    NotSucceeded,
    /// The service is shutting down.
    #[error("the service is shutting down: submit to another replica or try again later")]
    ShuttingDown,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifacts.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

/// When a job is expected to begin and to end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The place in the queue; `None` unless queued.
    pub place: Option<Place>,
    /// Seconds until it ends, from the measured time of a step; `None` until one was measured, or if it has ended.
    pub eta_seconds: Option<f64>,
}

/// Jobs: submit, look, stop, fetch. Clones are the same.
#[derive(Debug, Clone)]
pub struct Jobs(#[allow(dead_code)] Arc<()>);

impl Jobs {
    /// Checks an upload, keeps its pixels and queues a job.
    pub async fn submit(&self, _submission: Submission) -> Result<Submitted, JobError> {
        todo!("H3")
    }
    /// A job by name.
    pub async fn find(&self, _id: JobId) -> Result<Job, JobError> {
        todo!("H3")
    }
    /// Jobs, newest first.
    pub async fn list(&self, _filter: &Filter, _page: Page) -> Result<Vec<Job>, JobError> {
        todo!("H3")
    }
    /// When a job is expected to end.
    pub async fn estimate(&self, _job: &Job) -> Result<Estimate, JobError> {
        todo!("H3")
    }
    /// Seconds until the queue is expected to have room: what `Retry-After` says.
    pub async fn retry_after_seconds(&self) -> u64 {
        todo!("H3")
    }
    /// Stops a job.
    pub async fn cancel(&self, _id: JobId) -> Result<Cancelled, JobError> {
        todo!("H3")
    }
    /// Removes a job that has ended and its files.
    pub async fn delete(&self, _id: JobId) -> Result<Deleted, JobError> {
        todo!("H3")
    }
    /// Queues the same request again; the result will say whether the bytes are the same.
    pub async fn rerun(&self, _id: JobId, _caller: &str, _request_id: Option<String>) -> Result<Job, JobError> {
        todo!("H3")
    }
    /// Events after a sequence number. Waits for none: see [`Self::changed`].
    pub async fn events(&self, _id: JobId, _after: i64) -> Result<Vec<Event>, JobError> {
        todo!("H3")
    }
    /// Ends when some job may have changed, at the latest after a second.
    pub async fn changed(&self) {
        todo!("H3")
    }
    /// An artifact of a succeeded job, `None` if it has none of that name.
    pub async fn artifact(&self, _job: &Job, _name: &str) -> Result<Option<Blob>, JobError> {
        todo!("H3")
    }
    /// Reads a picture for the part of a request at `pointer`, under the same limits as those of jobs.
    pub async fn picture(&self, _bytes: Bytes, _pointer: &'static str, _view: View) -> Result<Decoded, JobError> {
        todo!("H3")
    }
    /// Reads a mask for the part of a request at `pointer`, under the same limits as those of jobs.
    pub async fn mask(&self, _bytes: Bytes, _pointer: &'static str) -> Result<Mask, JobError> {
        todo!("H3")
    }
    #[cfg(test)]
    pub(crate) fn unconnected() -> Self {
        Self(Arc::new(()))
    }
}
