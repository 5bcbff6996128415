//! Why something could not be done with a job.

use super::SpecError;
use super::store::StoreError;
use crate::artifact::ArtifactError;
use crate::imaging::ImagingError;

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

impl JobError {
    /// Whether nothing was stored for certain.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Store(error) = self else { return false };
        matches!(error, StoreError::QueueFull { .. } | StoreError::CallerFull { .. } | StoreError::IdempotencyConflict)
    }
}
