//! What anybody may do to a job: stop it, and remove it once it has ended.

use super::connection::{Database, Write};
use super::dialect::for_update;
use super::error::store_error;
use super::list;
use super::rows::JobRow;
use super::transition::{Ending, end};
use crate::jobs::store::{Cancelled, Deleted, StoreError};
use crate::jobs::{Job, JobId, State};

/// Queued to cancelled, or marks a running job.
pub(super) async fn cancel(database: &Database, id: JobId) -> Result<Option<Cancelled>, StoreError> {
    let mut write = database.write().await?;
    let Some(job) = find(&mut write, id).await? else { return Ok(None) };
    let cancelled = match job.state {
        State::Queued => Cancelled::Done(end(&mut write, id, Ending::Cancelled).await?),
        State::Running => {
            let row: JobRow = sqlx::query_as("UPDATE jobs SET cancel_requested = true WHERE id = $1 RETURNING *")
                .bind(id.to_string())
                .fetch_one(write.connection())
                .await
                .map_err(store_error)?;
            Cancelled::Requested(row.try_into()?)
        }
        State::Succeeded | State::Failed | State::Cancelled => return Ok(Some(Cancelled::TooLate(job))),
    };
    write.commit().await?;
    Ok(Some(cancelled))
}

/// Removes a job that has ended, with its events.
pub(super) async fn delete(database: &Database, id: JobId) -> Result<Deleted, StoreError> {
    let mut write = database.write().await?;
    // Its own condition rather than a look that takes the row: a transaction that ends without a change gives rows back
    // a moment after the answer, and until then nobody could take a lost job away from its worker.
    let deleted = sqlx::query("DELETE FROM jobs WHERE id = $1 AND finished_at IS NOT NULL")
        .bind(id.to_string())
        .execute(write.connection())
        .await
        .map_err(store_error)?;
    if deleted.rows_affected() > 0 {
        write.commit().await?;
        return Ok(Deleted::Done);
    }
    drop(write);
    Ok(if list::find(database, id).await?.is_some() { Deleted::NotFinal } else { Deleted::Absent })
}

async fn find(write: &mut Write<'_>, id: JobId) -> Result<Option<Job>, StoreError> {
    let row: Option<JobRow> = sqlx::query_as(for_update!("SELECT * FROM jobs WHERE id = $1"))
        .bind(id.to_string())
        .fetch_optional(write.connection())
        .await
        .map_err(store_error)?;
    row.map(Job::try_from).transpose()
}
