//! Which worker holds which models.

use std::time::Duration;

use super::connection::Database;
use super::error::store_error;
use super::rows::{count, from_json, to_json};
use crate::jobs::store::{Announcement, StoreError};

/// Milliseconds after which the row of a worker that is gone goes, if another one holds the model.
const KEPT: i64 = 3_600_000;

/// Writes down what a worker holds.
pub(super) async fn announce(database: &Database, worker: &str, models: &[Announcement]) -> Result<(), StoreError> {
    let mut write = database.write().await?;
    let now = write.now;
    for Announcement { name, rank, model } in models {
        sqlx::query(
            "INSERT INTO models (name, worker, rank, model, seen_at) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (name, worker) DO UPDATE
             SET rank = excluded.rank, model = excluded.model, seen_at = excluded.seen_at",
        )
        .bind(name)
        .bind(worker)
        .bind(i64::from(*rank))
        .bind(to_json(model)?)
        .bind(now)
        .execute(write.connection())
        .await
        .map_err(store_error)?;
        sqlx::query("DELETE FROM models WHERE name = $1 AND seen_at < $2")
            .bind(name)
            .bind(now - KEPT)
            .execute(write.connection())
            .await
            .map_err(store_error)?;
    }
    write.commit_quietly().await
}

/// What all workers hold or held, with the time since each said so: by rank, then by name, the latest first.
pub(super) async fn announced(database: &Database) -> Result<Vec<(Announcement, Duration)>, StoreError> {
    let now = database.now().await?;
    let rows: Vec<(String, i64, String, i64)> =
        sqlx::query_as("SELECT name, rank, model, seen_at FROM models ORDER BY rank, name, seen_at DESC, worker")
            .fetch_all(database.readers())
            .await
            .map_err(store_error)?;
    rows.into_iter()
        .map(|(name, rank, model, seen_at)| {
            let announcement =
                Announcement { name, rank: u32::try_from(rank).unwrap_or(u32::MAX), model: from_json(&model)? };
            Ok((announcement, Duration::from_millis(count(now - seen_at))))
        })
        .collect()
}
