//! Jobs as rows.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::jobs::store::StoreError;
use crate::jobs::{Job, JobId, Progress, State};

/// When a job may begin that has nothing to wait for: not the present time, which lies ahead once the clock is set
/// back.
pub(super) const AT_ONCE: i64 = 0;

/// A row of the table `jobs`, as far as it is shown.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct JobRow {
    id: String,
    caller: String,
    state: String,
    model: String,
    attempt: i32,
    max_attempts: i32,
    cancel_requested: bool,
    created_at: i64,
    run_after: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    rerun_of: Option<String>,
    request_id: Option<String>,
    trace_context: Option<String>,
    progress: String,
    failure: Option<String>,
    inputs: String,
    spec: String,
    outcome: Option<String>,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: job_id(&row.id)?,
            caller: row.caller,
            state: state(&row.state)?,
            spec: from_json(&row.spec)?,
            model: row.model,
            inputs: from_json(&row.inputs)?,
            attempt: attempts(row.attempt),
            max_attempts: attempts(row.max_attempts),
            cancel_requested: row.cancel_requested,
            progress: from_json(&row.progress)?,
            outcome: row.outcome.as_deref().map(from_json).transpose()?,
            failure: row.failure.as_deref().map(from_json).transpose()?,
            rerun_of: row.rerun_of.as_deref().map(job_id).transpose()?,
            request_id: row.request_id,
            // A job runs as well without it.
            trace: row.trace_context.as_deref().and_then(|json| serde_json::from_str(json).ok()),
            created_at: time(row.created_at)?,
            started_at: row.started_at.map(time).transpose()?,
            finished_at: row.finished_at.map(time).transpose()?,
            run_after: (row.run_after != AT_ONCE).then(|| time(row.run_after)).transpose()?,
        })
    }
}

/// The progress of an attempt that has not begun.
pub(super) fn no_progress(steps: u64) -> Progress {
    Progress { steps, ..Progress::default() }
}

pub(super) fn state(name: &str) -> Result<State, StoreError> {
    let state = State::ALL.into_iter().find(|state| state.name() == name);
    state.ok_or_else(|| StoreError::Corrupt(format!("a job in the unknown state {name:?}")))
}

pub(super) fn job_id(text: &str) -> Result<JobId, StoreError> {
    text.parse().map_err(|error| StoreError::Corrupt(format!("the name of a job: {error}")))
}

/// A time from UTC milliseconds.
pub(super) fn time(milliseconds: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_millis(milliseconds)
        .ok_or_else(|| StoreError::Corrupt(format!("a time {milliseconds} ms after 1970")))
}

/// Milliseconds of a duration; one beyond all bounds is as long as can be added to a time.
pub(super) fn milliseconds(duration: std::time::Duration) -> i64 {
    const LONGEST: i64 = i64::MAX / 1_000_000;
    i64::try_from(duration.as_millis()).map_or(LONGEST, |milliseconds| milliseconds.min(LONGEST))
}

/// A number as a database keeps it; none that occurs is larger.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A count that a database made.
pub(super) fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A number of attempts as a database keeps it; none that occurs is larger.
pub(super) fn from_attempts(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn attempts(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, StoreError> {
    serde_json::from_str(json).map_err(|error| StoreError::Corrupt(error.to_string()))
}
