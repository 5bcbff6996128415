//! What happened to a job, in order.

use serde::Serialize;
use serde_json::json;

use super::connection::{Database, Write};
use super::dialect::Connection;
use super::error::store_error;
use super::rows::{from_json, to_json};
use crate::jobs::store::{Event, StoreError};
use crate::jobs::{Failure, Job, JobId, Progress};

/// A job keeps its last so many `progress` events, and all `state` events.
pub(super) const KEPT_PROGRESS: i64 = 200;

/// Appends that a job is now in its state, for this reason if it is a failure.
pub(super) async fn append_state(write: &mut Write<'_>, job: &Job, why: Option<&Failure>) -> Result<(), StoreError> {
    let mut data = json!({"state": job.state, "attempt": job.attempt});
    if let Some(failure) = why {
        data["failure"] = json!(failure);
    }
    append(write.connection(), job.id, "state", &data).await.map(drop)
}

/// Appends how far a job is.
pub(super) async fn append_progress(write: &mut Write<'_>, id: JobId, progress: &Progress) -> Result<(), StoreError> {
    let sequence = append(write.connection(), id, "progress", progress).await?;
    sqlx::query("DELETE FROM events WHERE job = $1 AND sequence <= $2 AND kind = 'progress'")
        .bind(id.to_string())
        .bind(sequence - KEPT_PROGRESS)
        .execute(write.connection())
        .await
        .map(drop)
        .map_err(store_error)
}

/// Appends an event and answers its number.
async fn append(connection: &mut Connection, id: JobId, kind: &str, data: &impl Serialize) -> Result<i64, StoreError> {
    sqlx::query_scalar(
        "INSERT INTO events (job, sequence, kind, data)
         SELECT $1, coalesce(max(sequence), 0) + 1, $2, $3 FROM events WHERE job = $1
         RETURNING sequence",
    )
    .bind(id.to_string())
    .bind(kind)
    .bind(to_json(data)?)
    .fetch_one(connection)
    .await
    .map_err(store_error)
}

/// The events of a job with numbers above `after`.
pub(super) async fn list(database: &Database, id: JobId, after: i64) -> Result<Vec<Event>, StoreError> {
    let rows: Vec<(i64, String, String)> =
        sqlx::query_as("SELECT sequence, kind, data FROM events WHERE job = $1 AND sequence > $2 ORDER BY sequence")
            .bind(id.to_string())
            .bind(after)
            .fetch_all(database.readers())
            .await
            .map_err(store_error)?;
    rows.into_iter().map(|(sequence, kind, data)| Ok(Event { sequence, kind, data: from_json(&data)? })).collect()
}
