//! Where jobs are kept, and the rules by which they change hands.
//!
//! [`JobStore`] is a trait because a single machine and a cluster need different databases; the conformance
//! suite says what both have to do. Most statements are understood by both; they are in the module `sql`, which is
//! below `sqlite` and again below `postgres`, where connections, errors and the few statements that differ are.
//!
//! Rules that hold for all:
//!
//! - all times come from the database's clock, in milliseconds;
//! - every write of a running job names its [`Lease`]; a write that finds it gone changes nothing;
//! - attempts only count up, so a lease that was lost never becomes valid again;
//! - a lease that has expired is still one until a claim or a sweep takes the job away: it is cancelled if that was
//!   asked for, queued again while there are attempts left, and failed (code `lost`) otherwise;
//! - among claimable jobs the highest priority goes first, then the caller who has waited longest since a job
//!   of theirs was last begun, then the oldest job.

#[cfg(test)]
mod conformance;
mod inspection;
mod opened;
#[allow(clippy::duplicate_mod, reason = "the statements of `sql` are modules of both databases")]
mod postgres;
#[allow(clippy::duplicate_mod, reason = "the statements of `sql` are modules of both databases")]
mod sqlite;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Failure, Inputs, Job, JobId, JobSpec, Outcome, Progress, State};
use crate::telemetry::traces::TraceContext;

pub use inspection::{Inspection, Tables};
pub use opened::OpenedStore;
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;

/// Why a store did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is busy or cannot be reached; trying again may help.
    #[error("the job store is not available: {0}")]
    Unavailable(String),
    /// The disk is full.
    #[error("the job store has no space left: {0}")]
    Full(String),
    /// A row or a file that this version of the program did not write.
    #[error("the job store cannot be read: {0}")]
    Corrupt(String),
    /// The queue holds as many jobs as it may.
    #[error("the queue is full ({queued} jobs are waiting): try again later")]
    QueueFull { queued: u64 },
    /// This caller has as many unfinished jobs as they may.
    #[error("you have {unfinished} unfinished jobs, the most you may have: wait for some to end")]
    CallerFull { unfinished: u64 },
    /// An idempotency key came again with another request.
    #[error("the idempotency key was used for another request before: use a new key")]
    IdempotencyConflict,
}

/// A job to be stored.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub id: JobId,
    pub caller: String,
    pub spec: JobSpec,
    pub model: String,
    pub inputs: Inputs,
    /// Points that the attack will visit: the unit of queue length and ETA.
    pub steps: u64,
    pub max_attempts: u32,
    pub idempotency: Option<Idempotency>,
    pub rerun_of: Option<JobId>,
    pub request_id: Option<String>,
    pub trace: Option<TraceContext>,
}

/// A caller's name for a request, and what the request was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// Unique for the caller.
    pub key: String,
    /// SHA-256 of the canonical request.
    pub request_sha256: String,
}

/// How many jobs may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Queued jobs in all.
    pub queued: u64,
    /// Queued and running jobs of one caller.
    pub per_caller: u64,
}

/// Whether a submission made a job.
#[derive(Debug, Clone, PartialEq)]
pub enum Submitted {
    /// It did.
    Created(Job),
    /// The same request had made this job before.
    Replayed(Job),
}

/// A worker's right to run a job, for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub id: JobId,
    /// A random name, new with each start of the process.
    pub worker: String,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

/// What a worker learns when it says that it is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Go on.
    Continue,
    /// Somebody asked for the job to stop.
    Cancel,
    /// The job is not yours any more: stop, and write nothing.
    Lost,
}

/// What became of a wish to cancel.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// The job was waiting and is cancelled.
    Done(Job),
    /// The job is running and will stop at its next step.
    Requested(Job),
    /// The job had ended already.
    TooLate(Job),
}

/// What became of a wish to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// The row is gone; its artifacts may go.
    Done,
    /// The job has not ended: cancel it first.
    NotFinal,
    /// There is no such job.
    Absent,
}

/// Which jobs to list. All conditions hold together.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only jobs of this caller.
    pub caller: Option<String>,
    pub states: Vec<State>,
    pub model: Option<String>,
    /// `fgsm`, `pgd`, ...
    pub method: Option<String>,
    /// The caller's own label with this value.
    pub label: Option<(String, String)>,
    pub created_after: Option<DateTime<Utc>>,
    pub created_before: Option<DateTime<Utc>>,
}

/// Which part of a list: newest first, those older than `before`.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    pub before: Option<JobId>,
    pub limit: u32,
}

/// A queued job's place: jobs with higher priority, or the same and submitted earlier, and running ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// Queued jobs ahead.
    pub jobs_ahead: u64,
    /// Points that queued and running jobs ahead will still visit.
    pub steps_ahead: u64,
}

/// Something that happened to a job, numbered from 1 within the job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub sequence: i64,
    /// `state` or `progress`.
    pub kind: String,
    pub data: serde_json::Value,
}

/// A model that a worker holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Announcement {
    /// Its name in requests.
    pub name: String,
    /// Its place among the worker's models: the first is the default.
    pub rank: u32,
    /// What else there is to know.
    pub model: serde_json::Value,
}

/// Numbers of jobs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub queued: u64,
    pub running: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub cancelled: u64,
}

/// Tells those who wait that a job has changed.
fn note_change(changes: &tokio::sync::watch::Sender<u64>) {
    changes.send_modify(|count| *count = count.wrapping_add(1));
}

/// Keeps jobs. Every change of state also appends a `state` event with `{"state", "attempt", "failure"?}` in the
/// same transaction.
#[async_trait]
pub trait JobStore: Send + Sync + std::fmt::Debug {
    /// Stores a job as queued, or finds the one that the same idempotent request made before, full or not.
    ///
    /// # Errors
    /// [`StoreError::QueueFull`], [`StoreError::CallerFull`], [`StoreError::IdempotencyConflict`].
    async fn submit(&self, job: NewJob, limits: QueueLimits) -> Result<Submitted, StoreError>;

    /// The job that this idempotent request made before, if any.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyConflict`] if the key was used for another request.
    async fn replay(&self, caller: &str, idempotency: &Idempotency) -> Result<Option<Job>, StoreError>;

    /// A job by name.
    async fn find(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Jobs, newest first.
    async fn list(&self, filter: &Filter, page: Page) -> Result<Vec<Job>, StoreError>;

    /// Where a queued job stands in the queue; `None` unless it is queued.
    async fn place(&self, id: JobId) -> Result<Option<Place>, StoreError>;

    /// Takes the next job of these models and leases it: fresh `progress`, `attempt` one higher. Expired leases are
    /// taken away first.
    async fn claim(&self, worker: &str, models: &[String], lease: Duration)
    -> Result<Option<(Job, Lease)>, StoreError>;

    /// Extends a lease to that long from now; writes progress and appends a `progress` event if there is any, of which
    /// a job keeps the last 200.
    async fn beat(&self, lease: &Lease, extend: Duration, progress: Option<&Progress>) -> Result<Beat, StoreError>;

    /// Running to succeeded; `false` if the lease was lost.
    async fn succeed(&self, lease: &Lease, outcome: &Outcome) -> Result<bool, StoreError>;

    /// Running to failed; or, with `retry_after` and attempts left, back to queued. `false` if the lease was lost.
    /// A job whose cancellation was requested becomes cancelled rather than queued.
    async fn fail(&self, lease: &Lease, failure: &Failure, retry_after: Option<Duration>) -> Result<bool, StoreError>;

    /// Running to cancelled; `false` if the lease was lost.
    async fn stop(&self, lease: &Lease) -> Result<bool, StoreError>;

    /// Running to queued, because the worker shuts down; `false` if the lease was lost. The attempt is made good by one
    /// more that the job may have. A job whose cancellation was requested becomes cancelled.
    async fn hand_back(&self, lease: &Lease) -> Result<bool, StoreError>;

    /// Queued to cancelled, or marks a running job; `None` if there is no such job.
    async fn cancel(&self, id: JobId) -> Result<Option<Cancelled>, StoreError>;

    /// Removes a job that has ended, with its events.
    async fn delete(&self, id: JobId) -> Result<Deleted, StoreError>;

    /// What happened to a job after an event.
    async fn events(&self, id: JobId, after: i64) -> Result<Vec<Event>, StoreError>;

    /// Takes away expired leases and answers how many jobs that ended.
    async fn sweep(&self) -> Result<u64, StoreError>;

    /// Treats every lease as expired and answers how many there were: to be called once, on the start of the only
    /// process that uses the store. The attempts count, so a job that kills its process is given up in the end.
    async fn recover(&self) -> Result<u64, StoreError>;

    /// Removes jobs that ended at least `age` ago by the store's clock, at most `limit` of them, and answers their names.
    async fn purge(&self, age: Duration, limit: u32) -> Result<Vec<JobId>, StoreError>;

    /// Forgets idempotency keys of jobs that were submitted at least `age` ago by the store's clock.
    async fn forget_keys(&self, age: Duration) -> Result<u64, StoreError>;

    /// Writes down which models a worker holds, now. That another worker held one may be forgotten after an hour.
    async fn announce(&self, worker: &str, models: &[Announcement]) -> Result<(), StoreError>;

    /// Which models workers hold or held, with the time since each said so: by rank, of one name the latest first.
    async fn announced(&self) -> Result<Vec<(Announcement, Duration)>, StoreError>;

    /// Numbers of jobs by state.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Fails unless the store can be read and written.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Told whenever this process changed what is seen of a job: its state, its progress, its wish to stop.
    fn changes(&self) -> tokio::sync::watch::Receiver<u64>;
}
