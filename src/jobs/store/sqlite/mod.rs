//! Jobs in one SQLite file: for a single machine, nothing to install, everything in one folder.
//!
//! Every method is one transaction. Writes are durable before they are answered (`synchronous = FULL`), so a
//! submission that was accepted outlives a power cut. Several processes may use the file at once.

mod connection;
mod dialect;
mod error;
mod inspect;
#[path = "../sql/mod.rs"]
mod sql;
#[cfg(test)]
mod tests;

use std::path::Path;

use super::StoreError;
use connection::Database;
#[cfg(test)]
pub(super) use connection::MIGRATIONS;

pub use sql::Store as SqliteStore;

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
