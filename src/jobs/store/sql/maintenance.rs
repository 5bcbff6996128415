//! What nobody asks for but time brings: lost leases, old jobs, old keys.

use std::time::Duration;

use super::connection::{Database, Write};
use super::dialect::for_update_of_free;
use super::error::store_error;
use super::rows::{JobRow, job_id, milliseconds};
use super::transition::{Ending, end, requeue};
use crate::jobs::store::StoreError;
use crate::jobs::{Failure, Job, JobId};

/// What became of jobs whose workers vanished.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Released {
    ended: u64,
    requeued: u64,
}

impl Released {
    /// Whether there were any.
    pub(super) fn any(self) -> bool {
        self.ended + self.requeued > 0
    }
}

/// Takes the jobs whose lease has expired from their workers: cancelled if that was asked for, queued again while
/// there are attempts left, failed otherwise.
pub(super) async fn release_expired(write: &mut Write<'_>) -> Result<Released, StoreError> {
    let now = write.now;
    let rows: Vec<JobRow> =
        sqlx::query_as(for_update_of_free!("SELECT * FROM jobs WHERE state = 'running' AND lease_until <= $1"))
            .bind(now)
            .fetch_all(write.connection())
            .await
            .map_err(store_error)?;
    let mut released = Released::default();
    for row in rows {
        let job = Job::try_from(row)?;
        tracing::warn!(job = %job.id, attempt = job.attempt, "the worker of a job vanished");
        let lost = lost(&job);
        if job.cancel_requested {
            end(write, job.id, Ending::Cancelled).await?;
            released.ended += 1;
        } else if job.attempt < job.max_attempts {
            requeue(write, job.id, 0, Some(&lost)).await?;
            released.requeued += 1;
        } else {
            end(write, job.id, Ending::Failed(&lost)).await?;
            released.ended += 1;
        }
    }
    Ok(released)
}

/// Why an attempt without a worker has no result.
fn lost(job: &Job) -> Failure {
    let detail = format!(
        "the worker vanished in attempt {} of {}: if this happens again, look into the service's log",
        job.attempt, job.max_attempts
    );
    Failure { code: "lost".into(), detail, pointer: None }
}

/// Releases the jobs of expired leases and answers how many ended.
pub(super) async fn sweep(database: &Database) -> Result<u64, StoreError> {
    let mut write = database.write().await?;
    let released = release_expired(&mut write).await?;
    if released.any() {
        write.commit().await?;
    }
    Ok(released.ended)
}

/// Releases all running jobs and answers how many there were.
pub(super) async fn recover(database: &Database) -> Result<u64, StoreError> {
    let mut write = database.write().await?;
    let now = write.now;
    sqlx::query("UPDATE jobs SET lease_until = $1 WHERE state = 'running'")
        .bind(now)
        .execute(write.connection())
        .await
        .map_err(store_error)?;
    let released = release_expired(&mut write).await?;
    write.commit().await?;
    Ok(released.ended + released.requeued)
}

/// Removes jobs that ended at least `age` ago.
pub(super) async fn purge(database: &Database, age: Duration, limit: u32) -> Result<Vec<JobId>, StoreError> {
    let mut write = database.write().await?;
    let until = write.now.saturating_sub(milliseconds(age));
    let names: Vec<String> = sqlx::query_scalar(
        "DELETE FROM jobs WHERE id IN (
             SELECT id FROM jobs WHERE finished_at IS NOT NULL AND finished_at <= $1 ORDER BY finished_at LIMIT $2)
         RETURNING id",
    )
    .bind(until)
    .bind(i64::from(limit))
    .fetch_all(write.connection())
    .await
    .map_err(store_error)?;
    let names = names.iter().map(|name| job_id(name)).collect::<Result<Vec<_>, _>>()?;
    if !names.is_empty() {
        write.commit().await?;
    }
    Ok(names)
}

/// Forgets the idempotency keys of jobs that were submitted at least `age` ago.
pub(super) async fn forget_keys(database: &Database, age: Duration) -> Result<u64, StoreError> {
    let mut write = database.write().await?;
    let until = write.now.saturating_sub(milliseconds(age));
    let forgotten = sqlx::query(
        "UPDATE jobs SET idempotency_key = NULL, request_sha256 = NULL
         WHERE idempotency_key IS NOT NULL AND created_at <= $1",
    )
    .bind(until)
    .execute(write.connection())
    .await
    .map_err(store_error)?;
    write.commit_quietly().await?;
    Ok(forgotten.rows_affected())
}

/// Reads and writes.
pub(super) async fn ping(database: &Database) -> Result<(), StoreError> {
    sqlx::query("SELECT 1").execute(database.readers()).await.map_err(store_error)?;
    let mut write = database.write().await?;
    let now = write.now;
    sqlx::query("INSERT INTO pings (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at")
        .bind(now)
        .execute(write.connection())
        .await
        .map_err(store_error)?;
    write.commit_quietly().await
}
