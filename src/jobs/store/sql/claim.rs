//! Which job is next.
//!
//! The highest priority first; in it the caller who was served longest ago; of theirs the oldest job. Neither
//! question looks at all queued jobs: the index is entered once for each model and then hops from caller to caller.

use std::time::Duration;

use super::connection::{Database, Turn, Write};
use super::dialect::{HIGHEST_PRIORITY, NEXT_JOB};
use super::error::store_error;
use super::rows::{milliseconds, to_json};
use super::{maintenance, transition};
use crate::jobs::Job;
use crate::jobs::store::{Lease, StoreError};

/// Takes the next job of these models and leases it.
pub(super) async fn claim(
    database: &Database,
    worker: &str,
    models: &[String],
    lease: Duration,
) -> Result<Option<(Job, Lease)>, StoreError> {
    let mut write = database.write().await?;
    write.take(Turn::Claim).await?;
    let released = maintenance::release_expired(&mut write).await?;
    let models = to_json(&models)?;
    let job = loop {
        let Some(id) = next(&mut write, &models).await? else {
            // those who wait for a change must not be woken by a look that found nothing
            if released.any() {
                write.commit().await?;
            }
            return Ok(None);
        };
        // none if somebody has cancelled it since
        if let Some(job) = transition::begin(&mut write, &id, worker, milliseconds(lease)).await? {
            break job;
        }
    };
    serve(&mut write, &job.caller).await?;
    write.commit().await?;
    let lease = Lease { id: job.id, worker: worker.into(), attempt: job.attempt };
    Ok(Some((job, lease)))
}

/// The name of the next job of the models, which are a JSON list.
async fn next(write: &mut Write<'_>, models: &str) -> Result<Option<String>, StoreError> {
    let now = write.now;
    let priority: Option<i32> = sqlx::query_scalar(HIGHEST_PRIORITY)
        .bind(models)
        .bind(now)
        .fetch_one(write.connection())
        .await
        .map_err(store_error)?;
    let Some(priority) = priority else { return Ok(None) };
    sqlx::query_scalar(NEXT_JOB)
        .bind(models)
        .bind(priority)
        .bind(now)
        .fetch_optional(write.connection())
        .await
        .map_err(store_error)
}

/// Puts a caller behind all others.
async fn serve(write: &mut Write<'_>, caller: &str) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO callers (name, served) SELECT $1, coalesce(max(served), 0) + 1 FROM callers WHERE true
         ON CONFLICT (name) DO UPDATE SET served = excluded.served",
    )
    .bind(caller)
    .execute(write.connection())
    .await
    .map(drop)
    .map_err(store_error)
}
