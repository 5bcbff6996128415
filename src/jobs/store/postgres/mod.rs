//! Jobs in PostgreSQL: for several processes on several machines that share a queue.
//!
//! Every method is one transaction at the level READ COMMITTED. A transaction that changes a job locks its row first,
//! so of two that meet the second sees what the first wrote. Submissions and claims concern more than one row (limits,
//! whose turn it is): each kind goes one after another under an advisory lock ([`connection::Turn`]). Who waits for a
//! change is told by `NOTIFY`, from whichever process it comes ([`notice`]).

mod connection;
mod dialect;
mod error;
mod notice;

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

use super::StoreError;
use connection::Database;

pub use store::Store as PostgresStore;

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
