//! Where SQLite's language is its own.

use sqlx::{Sqlite, SqliteConnection};

/// Whose types and placeholders statements have.
pub(super) type Dialect = Sqlite;
/// What a statement is sent through.
pub(super) type Connection = SqliteConnection;

/// The database's clock in UTC milliseconds.
macro_rules! clock {
    () => {
        "CAST(round(unixepoch('subsec') * 1000) AS INTEGER)"
    };
}

/// A statement whose rows nobody else changes until the transaction ends: a transaction that writes is the only one.
macro_rules! for_update {
    ($select:literal) => {
        $select
    };
}

/// A statement that takes rows as [`for_update`] does, but not those that another transaction has taken.
macro_rules! for_update_of_free {
    ($select:literal) => {
        $select
    };
}

pub(super) use {clock, for_update, for_update_of_free};

/// The highest priority among jobs of the models $1, a JSON list, that may begin at the time $2.
pub(super) const HIGHEST_PRIORITY: &str = "SELECT max((SELECT priority FROM jobs
         WHERE state = 'queued' AND model = models.value AND run_after <= $2
         ORDER BY priority DESC LIMIT 1))
     FROM json_each($1) AS models";

/// The next job of the models $1 with priority $2 at the time $3; hops through the index from caller to caller.
pub(super) const NEXT_JOB: &str = "WITH RECURSIVE waiting (model, caller) AS (
         SELECT models.value, (SELECT caller FROM jobs
             WHERE state = 'queued' AND model = models.value AND priority = $2 AND run_after <= $3
             ORDER BY caller LIMIT 1)
         FROM json_each($1) AS models
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
     ORDER BY coalesce(callers.served, 0), oldest LIMIT 1";

/// Jobs and steps ahead of the queued job $1, and steps of those that run. Without its statistics SQLite would count
/// through the index of lists.
pub(super) const PLACE: &str = "WITH ahead AS (
         SELECT waiting.steps FROM jobs AS this CROSS JOIN jobs AS waiting INDEXED BY jobs_waiting
         WHERE this.id = $1 AND waiting.state = 'queued' AND waiting.priority > this.priority
         UNION ALL
         SELECT waiting.steps FROM jobs AS this CROSS JOIN jobs AS waiting INDEXED BY jobs_waiting
         WHERE this.id = $1 AND waiting.state = 'queued' AND waiting.priority = this.priority
             AND waiting.id < this.id)
     SELECT
         (SELECT count(*) FROM ahead),
         (SELECT coalesce(sum(steps), 0) FROM ahead),
         (SELECT coalesce(sum(max(steps - (progress ->> '$.step'), 0)), 0) FROM jobs WHERE state = 'running')
     FROM jobs WHERE id = $1 AND state = 'queued'";
