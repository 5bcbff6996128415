//! The store as the rest of the program sees it: each method is one of the neighbouring files.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use super::connection::Database;
use super::{announcements, cancel, claim, events, lease, list, maintenance, submit};
use crate::jobs::store::{
    Announcement, Beat, Cancelled, Counts, Deleted, Event, Filter, Idempotency, JobStore, Lease, NewJob, Page, Place,
    QueueLimits, StoreError, Submitted,
};
use crate::jobs::{Failure, Job, JobId, Outcome, Progress};

/// Jobs and API keys in one database. Clones are the same.
#[derive(Debug, Clone)]
pub struct Store(pub(in super::super) Database);

impl Store {
    /// The database, for what else is kept in it.
    pub(super) fn database(&self) -> &Database {
        &self.0
    }
}

#[async_trait]
impl JobStore for Store {
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

    async fn purge(&self, age: Duration, limit: u32) -> Result<Vec<JobId>, StoreError> {
        maintenance::purge(&self.0, age, limit).await
    }

    async fn forget_keys(&self, age: Duration) -> Result<u64, StoreError> {
        maintenance::forget_keys(&self.0, age).await
    }

    async fn announce(&self, worker: &str, models: &[Announcement]) -> Result<(), StoreError> {
        announcements::announce(&self.0, worker, models).await
    }

    async fn announced(&self) -> Result<Vec<(Announcement, Duration)>, StoreError> {
        announcements::announced(&self.0).await
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
