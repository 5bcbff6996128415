//! The changes of state, each with its event; the callers have checked that the change is allowed.

use super::connection::Write;
use super::error::store_error;
use super::events;
use super::rows::{AT_ONCE, JobRow, to_json};
use crate::jobs::store::StoreError;
use crate::jobs::{Failure, Job, JobId, Outcome, State};

/// How a job ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending<'a> {
    Succeeded(&'a Outcome),
    Failed(&'a Failure),
    Cancelled,
}

/// Ends a job; what is told of earlier attempts is forgotten.
pub(super) async fn end(write: &mut Write<'_>, id: JobId, ending: Ending<'_>) -> Result<Job, StoreError> {
    let (state, outcome, failure) = match ending {
        Ending::Succeeded(outcome) => (State::Succeeded, Some(outcome), None),
        Ending::Failed(failure) => (State::Failed, None, Some(failure)),
        Ending::Cancelled => (State::Cancelled, None, None),
    };
    let now = write.now;
    let row: JobRow = sqlx::query_as(
        "UPDATE jobs SET state = $1, outcome = $2, failure = $3, finished_at = $4, worker = NULL, lease_until = NULL
         WHERE id = $5 RETURNING *",
    )
    .bind(state.name())
    .bind(outcome.map(to_json).transpose()?)
    .bind(failure.map(to_json).transpose()?)
    .bind(now)
    .bind(id.to_string())
    .fetch_one(write.connection())
    .await
    .map_err(store_error)?;
    changed(write, row, failure).await
}

/// Puts a running job back, to be begun again after `wait` milliseconds.
pub(super) async fn requeue(
    write: &mut Write<'_>,
    id: JobId,
    wait: i64,
    failure: Option<&Failure>,
) -> Result<Job, StoreError> {
    let run_after = if wait == 0 { AT_ONCE } else { write.now.saturating_add(wait) };
    let row: JobRow = sqlx::query_as(
        "UPDATE jobs SET state = 'queued', run_after = $1, failure = coalesce($2, failure), started_at = NULL,
             progress = '{\"step\":0,\"steps\":' || steps || '}', worker = NULL, lease_until = NULL
         WHERE id = $3 RETURNING *",
    )
    .bind(run_after)
    .bind(failure.map(to_json).transpose()?)
    .bind(id.to_string())
    .fetch_one(write.connection())
    .await
    .map_err(store_error)?;
    changed(write, row, failure).await
}

/// Begins an attempt of a job for a worker, leased for `lease` milliseconds; `None` if it is not queued any more.
pub(super) async fn begin(
    write: &mut Write<'_>,
    id: &str,
    worker: &str,
    lease: i64,
) -> Result<Option<Job>, StoreError> {
    let now = write.now;
    let row: Option<JobRow> = sqlx::query_as(
        "UPDATE jobs SET state = 'running', attempt = attempt + 1, worker = $1, lease_until = $2, started_at = $3
         WHERE id = $4 AND state = 'queued' RETURNING *",
    )
    .bind(worker)
    .bind(now.saturating_add(lease))
    .bind(now)
    .bind(id)
    .fetch_optional(write.connection())
    .await
    .map_err(store_error)?;
    match row {
        Some(row) => changed(write, row, None).await.map(Some),
        None => Ok(None),
    }
}

/// Appends the event of a change.
async fn changed(write: &mut Write<'_>, row: JobRow, why: Option<&Failure>) -> Result<Job, StoreError> {
    let job = Job::try_from(row)?;
    events::append_state(write, &job, why).await?;
    Ok(job)
}
