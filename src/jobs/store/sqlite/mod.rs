//! Jobs in one SQLite file: for a single machine, nothing to install, everything in one folder.
//!
//! Every method is one transaction. Writes are durable before they are answered (`synchronous = FULL`), so a
//! submission that was accepted outlives a power cut. Several processes may use the file at once.

mod cancel;
mod claim;
pub(crate) mod connection;
pub(crate) mod error;
mod events;
mod lease;
mod list;
mod maintenance;
pub(crate) mod rows;
mod submit;
mod transition;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use tokio::sync::watch;

use super::{
    Beat, Cancelled, Counts, Deleted, Event, Filter, Idempotency, JobStore, Lease, NewJob, Page, Place, QueueLimits,
    StoreError, Submitted,
};
use crate::jobs::{Failure, Job, JobId, Outcome, Progress};

pub use connection::Database;

/// Jobs in one SQLite file. Clones are the same.
#[derive(Debug, Clone)]
pub struct SqliteStore(Database);

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

    /// The file, for what else is kept in it.
    pub fn database(&self) -> &Database {
        &self.0
    }
}

#[async_trait]
impl JobStore for SqliteStore {
    async fn submit(&self, job: NewJob, limits: QueueLimits) -> Result<Submitted, StoreError> {
        submit::submit(&self.0, job, limits).await
    }

    async fn replay(&self, caller: &str, idempotency: &Idempotency) -> Result<Option<Job>, StoreError> {
        submit::replay(&self.0, caller, idempotency).await
    }

    async fn find(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        list::find(&self.0, id).await
    }

    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<Job>, StoreError> {
        list::list(&self.0, filter, page).await
    }

    async fn place(&self, id: JobId) -> Result<Option<Place>, StoreError> {
        list::place(&self.0, id).await
    }

    async fn claim(
        &self,
        worker: &str,
        models: &[String],
        lease: Duration,
    ) -> Result<Option<(Job, Lease)>, StoreError> {
        claim::claim(&self.0, worker, models, lease).await
    }

    async fn beat(&self, lease: &Lease, extend: Duration, progress: Option<&Progress>) -> Result<Beat, StoreError> {
        lease::beat(&self.0, lease, extend, progress).await
    }

    async fn succeed(&self, lease: &Lease, outcome: &Outcome) -> Result<bool, StoreError> {
        lease::succeed(&self.0, lease, outcome).await
    }

    async fn fail(&self, lease: &Lease, failure: &Failure, retry_after: Option<Duration>) -> Result<bool, StoreError> {
        lease::fail(&self.0, lease, failure, retry_after).await
    }

    async fn stop(&self, lease: &Lease) -> Result<bool, StoreError> {
        lease::stop(&self.0, lease).await
    }

    async fn hand_back(&self, lease: &Lease) -> Result<bool, StoreError> {
        lease::hand_back(&self.0, lease).await
    }

    async fn cancel(&self, id: JobId) -> Result<Option<Cancelled>, StoreError> {
        cancel::cancel(&self.0, id).await
    }

    async fn delete(&self, id: JobId) -> Result<Deleted, StoreError> {
        cancel::delete(&self.0, id).await
    }

    async fn events(&self, id: JobId, after: i64) -> Result<Vec<Event>, StoreError> {
        events::list(&self.0, id, after).await
    }

    async fn sweep(&self) -> Result<u64, StoreError> {
        maintenance::sweep(&self.0).await
    }

    async fn recover(&self) -> Result<u64, StoreError> {
        maintenance::recover(&self.0).await
    }

    async fn purge(&self, before: DateTime<Utc>, limit: u32) -> Result<Vec<JobId>, StoreError> {
        maintenance::purge(&self.0, before, limit).await
    }

    async fn forget_keys(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        maintenance::forget_keys(&self.0, before).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        list::counts(&self.0).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        maintenance::ping(&self.0).await
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes()
    }
}
