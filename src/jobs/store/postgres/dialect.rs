//! Where PostgreSQL's language is its own.

use sqlx::{PgConnection, Postgres};

/// Whose types and placeholders statements have.
pub(super) type Dialect = Postgres;
/// What a statement is sent through.
pub(super) type Connection = PgConnection;

/// The database's clock in UTC milliseconds; the one that goes on within a transaction.
macro_rules! clock {
    () => {
        "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)"
    };
}

/// A statement whose rows nobody else changes until the transaction ends.
macro_rules! for_update {
    ($select:literal) => {
        concat!($select, " FOR UPDATE")
    };
}

/// A statement that takes rows as [`for_update`] does, but not those that another transaction has taken.
macro_rules! for_update_of_free {
    ($select:literal) => {
        concat!($select, " FOR UPDATE SKIP LOCKED")
    };
}

/// The members of $1, a JSON list of texts, as a table `models (value)`.
macro_rules! models {
    () => {
        "json_array_elements_text(CAST($1 AS json)) AS models (value)"
    };
}

pub(super) use {clock, for_update, for_update_of_free, models};

/// Jobs and steps ahead of the queued job $1, and steps of those that run.
pub(super) const PLACE: &str = "WITH this AS (SELECT id, priority FROM jobs WHERE id = $1 AND state = 'queued'),
     ahead AS (
         SELECT waiting.steps FROM this JOIN jobs AS waiting
         ON waiting.priority > this.priority OR (waiting.priority = this.priority AND waiting.id < this.id)
         WHERE waiting.state = 'queued')
     SELECT
         (SELECT count(*) FROM ahead),
         (SELECT CAST(coalesce(sum(steps), 0) AS bigint) FROM ahead),
         (SELECT CAST(coalesce(sum(greatest(steps - CAST(CAST(progress AS json) ->> 'step' AS bigint), 0)), 0) AS bigint)
             FROM jobs WHERE state = 'running')
     FROM this";
