//! New jobs, and requests that come twice.

use super::Turn;
use super::connection::{Database, Write};
use super::dialect::Connection;
use super::error::store_error;
use super::events;
use super::rows::{AT_ONCE, JobRow, count, from_attempts, integer, no_progress, to_json};
use crate::jobs::Job;
use crate::jobs::store::{Idempotency, NewJob, QueueLimits, StoreError, Submitted};

/// Stores a job as queued, unless the request made one before or the queue is full.
pub(super) async fn submit(database: &Database, job: NewJob, limits: QueueLimits) -> Result<Submitted, StoreError> {
    let mut write = database.write_in_turn(Turn::Submission).await?;
    if let Some(idempotency) = &job.idempotency
        && let Some(earlier) = earlier(write.connection(), &job.caller, idempotency).await?
    {
        return Ok(Submitted::Replayed(earlier));
    }
    check_limits(write.connection(), &job.caller, limits).await?;
    let stored = Job::try_from(insert(&mut write, &job).await?)?;
    for (key, value) in &job.spec.labels {
        sqlx::query("INSERT INTO labels (key, value, job) VALUES ($1, $2, $3)")
            .bind(key)
            .bind(value)
            .bind(job.id.to_string())
            .execute(write.connection())
            .await
            .map_err(store_error)?;
    }
    events::append_state(&mut write, &stored, None).await?;
    write.commit().await?;
    Ok(Submitted::Created(stored))
}

/// The job that a request made before.
pub(super) async fn replay(
    database: &Database,
    caller: &str,
    idempotency: &Idempotency,
) -> Result<Option<Job>, StoreError> {
    let mut connection = database.readers().acquire().await.map_err(store_error)?;
    earlier(&mut connection, caller, idempotency).await
}

async fn earlier(
    connection: &mut Connection,
    caller: &str,
    idempotency: &Idempotency,
) -> Result<Option<Job>, StoreError> {
    #[derive(sqlx::FromRow)]
    struct Earlier {
        request_sha256: Option<String>,
        #[sqlx(flatten)]
        job: JobRow,
    }
    let earlier: Option<Earlier> = sqlx::query_as("SELECT * FROM jobs WHERE caller = $1 AND idempotency_key = $2")
        .bind(caller)
        .bind(&idempotency.key)
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    match earlier {
        None => Ok(None),
        Some(Earlier { request_sha256, job }) if request_sha256.as_ref() == Some(&idempotency.request_sha256) => {
            Job::try_from(job).map(Some)
        }
        Some(_) => Err(StoreError::IdempotencyConflict),
    }
}

async fn check_limits(connection: &mut Connection, caller: &str, limits: QueueLimits) -> Result<(), StoreError> {
    let unfinished: i64 =
        sqlx::query_scalar("SELECT count(*) FROM jobs WHERE caller = $1 AND state IN ('queued', 'running')")
            .bind(caller)
            .fetch_one(&mut *connection)
            .await
            .map_err(store_error)?;
    if count(unfinished) >= limits.per_caller {
        return Err(StoreError::CallerFull { unfinished: count(unfinished) });
    }
    let queued: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 'queued'")
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    if count(queued) >= limits.queued {
        return Err(StoreError::QueueFull { queued: count(queued) });
    }
    Ok(())
}

async fn insert(write: &mut Write<'_>, job: &NewJob) -> Result<JobRow, StoreError> {
    let now = write.now;
    sqlx::query_as(
        "INSERT INTO jobs (id, caller, state, priority, model, method, steps, max_attempts, created_at, run_after,
             idempotency_key, request_sha256, rerun_of, request_id, trace_context, progress, inputs, spec)
         VALUES ($1, $2, 'queued', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         RETURNING *",
    )
    .bind(job.id.to_string())
    .bind(&job.caller)
    .bind(job.spec.priority)
    .bind(&job.model)
    .bind(job.spec.attack.method())
    .bind(integer(job.steps))
    .bind(from_attempts(job.max_attempts))
    .bind(now)
    .bind(AT_ONCE)
    .bind(job.idempotency.as_ref().map(|idempotency| &idempotency.key))
    .bind(job.idempotency.as_ref().map(|idempotency| &idempotency.request_sha256))
    .bind(job.rerun_of.map(|id| id.to_string()))
    .bind(&job.request_id)
    .bind(job.trace.as_ref().map(to_json).transpose()?)
    .bind(to_json(&no_progress(job.steps))?)
    .bind(to_json(&job.inputs)?)
    .bind(to_json(&job.spec)?)
    .fetch_one(write.connection())
    .await
    .map_err(store_error)
}
