//! What the holder of a lease may do; whoever has lost it changes nothing.

use std::time::Duration;

use super::connection::{Database, Write};
use super::dialect::for_update;
use super::error::store_error;
use super::events;
use super::rows::{JobRow, from_attempts, milliseconds, to_json};
use super::transition::{Ending, end, requeue};
use crate::jobs::store::{Beat, Lease, StoreError};
use crate::jobs::{Failure, Job, Outcome, Progress};

/// Extends a lease.
pub(super) async fn beat(
    database: &Database,
    lease: &Lease,
    extend: Duration,
    progress: Option<&Progress>,
) -> Result<Beat, StoreError> {
    let mut write = database.write().await?;
    let Some(job) = held(&mut write, lease).await? else { return Ok(Beat::Lost) };
    let lease_until = write.now.saturating_add(milliseconds(extend));
    sqlx::query("UPDATE jobs SET lease_until = $1, progress = coalesce($2, progress) WHERE id = $3")
        .bind(lease_until)
        .bind(progress.map(to_json).transpose()?)
        .bind(job.id.to_string())
        .execute(write.connection())
        .await
        .map_err(store_error)?;
    match progress {
        Some(progress) => {
            events::append_progress(&mut write, job.id, progress).await?;
            write.commit().await?;
        }
        None => write.commit_quietly().await?,
    }
    Ok(if job.cancel_requested { Beat::Cancel } else { Beat::Continue })
}

/// Running to succeeded.
pub(super) async fn succeed(database: &Database, lease: &Lease, outcome: &Outcome) -> Result<bool, StoreError> {
    finish(database, lease, Ending::Succeeded(outcome)).await
}

/// Running to cancelled.
pub(super) async fn stop(database: &Database, lease: &Lease) -> Result<bool, StoreError> {
    finish(database, lease, Ending::Cancelled).await
}

async fn finish(database: &Database, lease: &Lease, ending: Ending<'_>) -> Result<bool, StoreError> {
    let mut write = database.write().await?;
    let Some(job) = held(&mut write, lease).await? else { return Ok(false) };
    end(&mut write, job.id, ending).await?;
    write.commit().await?;
    Ok(true)
}

/// Running to failed, or to queued if it may be tried again.
pub(super) async fn fail(
    database: &Database,
    lease: &Lease,
    failure: &Failure,
    retry_after: Option<Duration>,
) -> Result<bool, StoreError> {
    let mut write = database.write().await?;
    let Some(job) = held(&mut write, lease).await? else { return Ok(false) };
    match retry_after {
        Some(_) if job.cancel_requested => end(&mut write, job.id, Ending::Cancelled).await?,
        Some(wait) if job.attempt < job.max_attempts => {
            requeue(&mut write, job.id, milliseconds(wait), Some(failure)).await?
        }
        _ => end(&mut write, job.id, Ending::Failed(failure)).await?,
    };
    write.commit().await?;
    Ok(true)
}

/// Running to queued with one more attempt to go, as if this one had not been.
pub(super) async fn hand_back(database: &Database, lease: &Lease) -> Result<bool, StoreError> {
    let mut write = database.write().await?;
    let Some(job) = held(&mut write, lease).await? else { return Ok(false) };
    if job.cancel_requested {
        end(&mut write, job.id, Ending::Cancelled).await?;
    } else {
        sqlx::query("UPDATE jobs SET max_attempts = max_attempts + 1 WHERE id = $1")
            .bind(job.id.to_string())
            .execute(write.connection())
            .await
            .map_err(store_error)?;
        requeue(&mut write, job.id, 0, None).await?;
    }
    write.commit().await?;
    Ok(true)
}

/// The job, if the lease is still the one that it is run under.
async fn held(write: &mut Write<'_>, lease: &Lease) -> Result<Option<Job>, StoreError> {
    let row: Option<JobRow> = sqlx::query_as(for_update!(
        "SELECT * FROM jobs WHERE id = $1 AND worker = $2 AND attempt = $3 AND state = 'running'"
    ))
    .bind(lease.id.to_string())
    .bind(&lease.worker)
    .bind(from_attempts(lease.attempt))
    .fetch_optional(write.connection())
    .await
    .map_err(store_error)?;
    row.map(Job::try_from).transpose()
}
