//! Which problem an error of the rest of the program is.

use super::{Kind, Problem};
use crate::artifact::ArtifactError;
use crate::engine::EngineError;
use crate::evaluation::RunError;
use crate::imaging::ImagingError;
use crate::jobs::store::StoreError;
use crate::jobs::{JobError, SpecError};
use crate::model::ModelError;
use crate::oracle::OracleError;

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Spec(error) => error.into(),
            JobError::Picture { pointer, source } => Self::picture(pointer, &source),
            JobError::Store(error) => error.into(),
            JobError::Artifact(error) => error.into(),
            JobError::Busy | JobError::ShuttingDown => Self::new(Kind::Unavailable, error.to_string()),
            JobError::Absent => Self::new(Kind::NotFound, "there is no such attack"),
            JobError::NotFinal | JobError::NotSucceeded => Self::new(Kind::Conflict, error.to_string()),
        }
    }
}

impl From<SpecError> for Problem {
    fn from(SpecError { pointer, detail }: SpecError) -> Self {
        Self::invalid(pointer, detail)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(&error, "the job store is busy or gone: try again later"),
            StoreError::Full(_) => out_of_space(&error),
            StoreError::Corrupt(_) => Self::internal(&error),
            StoreError::QueueFull { .. } => Self::new(Kind::QueueFull, error.to_string()),
            StoreError::CallerFull { .. } => Self::new(Kind::CallerFull, error.to_string()),
            StoreError::IdempotencyConflict => {
                Self::new(Kind::IdempotencyConflict, error.to_string()).at_header("Idempotency-Key")
            }
        }
    }
}

impl From<ArtifactError> for Problem {
    fn from(error: ArtifactError) -> Self {
        match error {
            ArtifactError::Full => out_of_space(&error),
            ArtifactError::Damaged { .. } => Self::internal(&error),
            ArtifactError::Unavailable(_) => {
                Self::unavailable(&error, "the artifact store is busy or gone: try again later")
            }
        }
    }
}

impl From<RunError> for Problem {
    fn from(error: RunError) -> Self {
        const GONE: &str = "the model does not answer now: try again later";
        match &error {
            RunError::Engine(EngineError::Model(ModelError::Prompt { .. })) => {
                Self::invalid("/spec/prompt", error.to_string())
            }
            RunError::Engine(EngineError::Stopped(_)) | RunError::Oracle(OracleError::Model(_)) => {
                Self::unavailable(&error, GONE)
            }
            RunError::Oracle(OracleError::Full { .. }) => {
                Self::unavailable(&error, "too many attacks run at once: try again later")
            }
            _ => Self::internal(&error),
        }
    }
}

impl Problem {
    /// What is wrong with the picture in the part at `pointer`.
    pub fn picture(pointer: &'static str, error: &ImagingError) -> Self {
        let kind = match error {
            ImagingError::TooManyBytes { .. } | ImagingError::TooManyPixels { .. } | ImagingError::Inflated { .. } => {
                Kind::PayloadTooLarge
            }
            ImagingError::UnknownFormat | ImagingError::Unsupported { .. } => Kind::UnsupportedMediaType,
            ImagingError::Io { .. }
            | ImagingError::File { .. }
            | ImagingError::Encode(_)
            | ImagingError::Tensor(_)
            | ImagingError::Size { .. } => return Self::internal(error),
            _ => Kind::Invalid,
        };
        Self::new(kind, error.to_string()).at(pointer)
    }
}

fn out_of_space(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a request failed");
    Problem::new(Kind::OutOfSpace, "the service has no space left: ask its operator to make some")
}
