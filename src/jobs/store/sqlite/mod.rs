//! Jobs in one SQLite file: for a single machine, nothing to install, everything in one folder.
//!
//! Every method is one transaction. Writes are durable before they are answered (`synchronous = FULL`), so a
//! submission that was accepted outlives a power cut. Several processes may use the file at once.

mod connection;
mod dialect;
mod error;

// The statements, which both databases understand: see the folder above them.
#[path = "../sql/announcements.rs"]
mod announcements;
#[path = "../sql/cancel.rs"]
mod cancel;
#[path = "../sql/claim.rs"]
mod claim;
#[path = "../sql/events.rs"]
mod events;
#[path = "../sql/keys.rs"]
mod keys;
#[path = "../sql/lease.rs"]
mod lease;
#[path = "../sql/list.rs"]
mod list;
#[path = "../sql/maintenance.rs"]
mod maintenance;
#[path = "../sql/rows.rs"]
mod rows;
#[path = "../sql/store.rs"]
mod store;
#[path = "../sql/submit.rs"]
mod submit;
#[path = "../sql/transition.rs"]
mod transition;

#[cfg(test)]
mod tests;

use std::path::Path;

use super::StoreError;
use connection::Database;

pub use store::Store as SqliteStore;

impl SqliteStore {
    /// The name of the file in the service's folder.
    pub const FILE_NAME: &str = "segprobe.sqlite";

    /// Opens a database file, made if it is absent as its folder is, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be opened or stays locked, [`StoreError::Corrupt`] if it is not
    /// a database of this program or one of a newer version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Database::open(path).await.map(Self)
    }
}
