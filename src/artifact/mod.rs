//! Files of jobs, in a local folder or an object store.

pub mod bundle;

use bytes::Bytes;

/// Why a file could not be kept or fetched.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// There is no space left.
    #[error("the artifact store has no space left")]
    Full,
    /// What was read is not what was written.
    #[error("{name} does not have the bytes that were written: restore it from a backup or run the attack again")]
    Damaged { name: String },
    /// Anything else.
    #[error("the artifact store is not available: {0}")]
    Unavailable(String),
}

/// A file in memory.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Media type.
    pub content_type: String,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The content.
    pub bytes: Bytes,
}
