//! Files of jobs, in a local folder or an object store.
//!
//! A file is written whole or not at all and never changed. What a running attempt writes lies under a prefix of
//! its own ([`layout`]) and counts for nothing until its job names it as the published one, so a worker that lost
//! its job leaves garbage at worst, never a mixture.

pub mod bundle;
pub mod layout;
mod leftovers;
mod store;
mod trial;

use bytes::Bytes;

pub use store::{Artifacts, Bucket};
pub use trial::{Refusal, Step};

/// Why a file could not be kept or fetched.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// There is no space left.
    #[error("the artifact store has no space left")]
    Full,
    /// What was read is not what was written.
    #[error("{name} does not have the bytes that were written: restore it from a backup or run the attack again")]
    Damaged { name: String },
    /// Anything else, without the place on disk.
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

/// The media type that goes with a file name.
pub fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("png") => "image/png",
        Some("jpg") => "image/jpeg",
        Some("json") => "application/json",
        _ => "application/octet-stream",
    }
}
