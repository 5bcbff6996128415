//! Looking at jobs.

use sqlx::QueryBuilder;

use super::connection::Database;
use super::dialect::{Dialect, PLACE};
use super::error::store_error;
use super::rows::{JobRow, count, state};
use crate::jobs::store::{Counts, Filter, Page, Place, StoreError};
use crate::jobs::{Job, JobId, State};

/// A job by name.
pub(super) async fn find(database: &Database, id: JobId) -> Result<Option<Job>, StoreError> {
    let row: Option<JobRow> = sqlx::query_as("SELECT * FROM jobs WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(database.readers())
        .await
        .map_err(store_error)?;
    row.map(Job::try_from).transpose()
}

/// Jobs, newest first.
pub(super) async fn list(database: &Database, filter: &Filter, page: Page) -> Result<Vec<Job>, StoreError> {
    // the names are chosen first, so that only the rows of this page are read whole
    let mut query = QueryBuilder::new("SELECT * FROM jobs WHERE id IN (SELECT id FROM jobs WHERE true");
    add_conditions(&mut query, filter);
    if let Some(before) = page.before {
        query.push(" AND id < ").push_bind(before.to_string());
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(page.limit)).push(") ORDER BY id DESC");
    let rows: Vec<JobRow> = query.build_query_as().fetch_all(database.readers()).await.map_err(store_error)?;
    rows.into_iter().map(Job::try_from).collect()
}

fn add_conditions(query: &mut QueryBuilder<Dialect>, filter: &Filter) {
    if let Some(caller) = &filter.caller {
        query.push(" AND caller = ").push_bind(caller.clone());
    }
    if !filter.states.is_empty() {
        let mut states = query.push(" AND state IN (").separated(", ");
        for state in &filter.states {
            states.push_bind(state.name());
        }
        query.push(")");
    }
    if let Some(model) = &filter.model {
        query.push(" AND model = ").push_bind(model.clone());
    }
    if let Some(method) = &filter.method {
        query.push(" AND method = ").push_bind(method.clone());
    }
    if let Some((key, value)) = &filter.label {
        query.push(" AND id IN (SELECT job FROM labels WHERE key = ").push_bind(key.clone());
        query.push(" AND value = ").push_bind(value.clone()).push(")");
    }
    if let Some(after) = filter.created_after {
        query.push(" AND created_at > ").push_bind(after.timestamp_millis());
    }
    if let Some(before) = filter.created_before {
        query.push(" AND created_at < ").push_bind(before.timestamp_millis());
    }
}

/// Where a queued job stands in the queue.
pub(super) async fn place(database: &Database, id: JobId) -> Result<Option<Place>, StoreError> {
    let place: Option<(i64, i64, i64)> =
        sqlx::query_as(PLACE).bind(id.to_string()).fetch_optional(database.readers()).await.map_err(store_error)?;
    Ok(place.map(|(jobs, queued_steps, running_steps)| Place {
        jobs_ahead: count(jobs),
        steps_ahead: count(queued_steps) + count(running_steps),
    }))
}

/// Numbers of jobs by state.
pub(super) async fn counts(database: &Database) -> Result<Counts, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as("SELECT state, count(*) FROM jobs GROUP BY state")
        .fetch_all(database.readers())
        .await
        .map_err(store_error)?;
    let mut counts = Counts::default();
    for (name, number) in rows {
        let number = count(number);
        match state(&name)? {
            State::Queued => counts.queued = number,
            State::Running => counts.running = number,
            State::Succeeded => counts.succeeded = number,
            State::Failed => counts.failed = number,
            State::Cancelled => counts.cancelled = number,
        }
    }
    Ok(counts)
}
