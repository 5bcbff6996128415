//! Which job is next.
//!
//! The highest priority first; in it the caller who was served longest ago; of theirs the oldest job. Neither
//! question looks at all queued jobs: the index is entered once for each model and then hops from caller to caller.

use std::time::Duration;

use super::Turn;
use super::connection::{Database, Write};
use super::dialect::models;
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
    let mut write = database.write_in_turn(Turn::Claim).await?;
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
    let priority: Option<i32> = sqlx::query_scalar(concat!(
        "SELECT max((SELECT priority FROM jobs
             WHERE state = 'queued' AND model = models.value AND run_after <= $2
             ORDER BY priority DESC LIMIT 1))
         FROM ",
        models!()
    ))
    .bind(models)
    .bind(now)
    .fetch_one(write.connection())
    .await
    .map_err(store_error)?;
    let Some(priority) = priority else { return Ok(None) };
    sqlx::query_scalar(concat!(
        "WITH RECURSIVE waiting (model, caller) AS (
             SELECT models.value, (SELECT caller FROM jobs
                 WHERE state = 'queued' AND model = models.value AND priority = $2 AND run_after <= $3
                 ORDER BY caller LIMIT 1)
             FROM ",
        models!(),
        "
             UNION ALL
             SELECT waiting.model, (SELECT caller FROM jobs
                 WHERE state = 'queued' AND model = waiting.model AND priority = $2 AND caller > waiting.caller
                     AND run_after <= $3
                 ORDER BY caller LIMIT 1)
             FROM waiting WHERE waiting.caller IS NOT NULL)
         SELECT (SELECT id FROM jobs
             WHERE state = 'queued' AND model = waiting.model AND priority = $2 AND caller = waiting.caller
                 AND run_after <= $3
             ORDER BY id LIMIT 1) AS oldest
         FROM waiting LEFT JOIN callers ON callers.name = waiting.caller
         WHERE waiting.caller IS NOT NULL
         ORDER BY coalesce(callers.served, 0), oldest LIMIT 1"
    ))
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
