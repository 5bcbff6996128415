//! Jobs in PostgreSQL: for several processes on several machines that share a queue.
//!
//! Every method is one transaction at the level READ COMMITTED. A transaction that changes a job locks its row first,
//! so of two that meet the second sees what the first wrote. Submissions and claims concern more than one row (limits,
//! whose turn it is): each kind goes one after another under an advisory lock ([`sql::Turn`]). Who waits for a
//! change is told by `NOTIFY`, from whichever process it comes ([`notice`]).

mod connection;
mod dialect;
mod error;
mod inspect;
mod notice;
#[path = "../sql/mod.rs"]
mod sql;
#[cfg(test)]
mod tests;

use super::StoreError;
use connection::Database;

pub use sql::Store as PostgresStore;

impl PostgresStore {
    /// Connects to a database, `postgres://user@host/database`, and brings its tables up to date; of several processes
    /// that do so at once one does it and the others wait. What the address leaves out comes from `PGPASSWORD`,
    /// `PGPASSFILE` and the other variables of libpq.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server cannot be reached or does not let us in, [`StoreError::Corrupt`] if
    /// the address or the tables are none of ours.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Database::connect(url).await.map(Self)
    }
}
