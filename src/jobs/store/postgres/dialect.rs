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

pub(super) use {clock, for_update, for_update_of_free};

/// The highest priority among jobs of the models $1, a JSON list, that may begin at the time $2.
pub(super) const HIGHEST_PRIORITY: &str = "SELECT max((SELECT priority FROM jobs
         WHERE state = 'queued' AND model = models.value AND run_after <= $2
         ORDER BY priority DESC LIMIT 1))
     FROM json_array_elements_text($1::json) AS models (value)";

/// The next job of the models $1 with priority $2 at the time $3; hops through the index from caller to caller.
pub(super) const NEXT_JOB: &str = "WITH RECURSIVE waiting (model, caller) AS (
         SELECT models.value, (SELECT caller FROM jobs
             WHERE state = 'queued' AND model = models.value AND priority = $2 AND run_after <= $3
             ORDER BY caller LIMIT 1)
         FROM json_array_elements_text($1::json) AS models (value)
         UNION ALL
         SELECT waiting.model, (SELECT caller FROM jobs
             WHERE state = 'queued' AND model = waiting.model AND priority = $2 AND caller > waiting.caller
                 AND run_after <= $3
             ORDER BY caller LIMIT 1)
         FROM waiting WHERE waiting.caller IS NOT NULL)
     SELECT oldest FROM (
         SELECT (SELECT id FROM jobs
             WHERE state = 'queued' AND model = waiting.model AND priority = $2 AND caller = waiting.caller
                 AND run_after <= $3
             ORDER BY id LIMIT 1) AS oldest, coalesce(callers.served, 0) AS served
         FROM waiting LEFT JOIN callers ON callers.name = waiting.caller
         WHERE waiting.caller IS NOT NULL) AS candidates
     ORDER BY served, oldest LIMIT 1";

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
