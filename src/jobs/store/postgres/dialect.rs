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

/// Whether the database's clock may be another than this machine's.
pub(super) const OWN_CLOCK: bool = true;

/// Whether there is a list of applied migrations.
pub(super) const HAS_MIGRATIONS: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";

/// Name and version of what answers, the first number of the version, and whether it takes no writes.
pub(super) async fn server(connection: &mut Connection) -> Result<(String, u32, bool), sqlx::Error> {
    let (version, number, read_only): (String, i32, bool) = sqlx::query_as(
        "SELECT split_part(current_setting('server_version'), ' ', 1),
             CAST(current_setting('server_version_num') AS integer),
             pg_is_in_recovery() OR CAST(current_setting('default_transaction_read_only') AS boolean)",
    )
    .fetch_one(connection)
    .await?;
    Ok((format!("PostgreSQL {version}"), u32::try_from(number / 10_000).unwrap_or(0), read_only))
}

/// Jobs and steps ahead of the queued job $1, and steps of those that run. `steps >= 0` holds for all jobs: it allows the
/// index `jobs_waiting`.
pub(super) const PLACE: &str = "WITH this AS (SELECT id, priority FROM jobs WHERE id = $1 AND state = 'queued'),
     ahead AS (
         SELECT waiting.steps FROM this JOIN jobs AS waiting
         ON waiting.priority > this.priority OR (waiting.priority = this.priority AND waiting.id < this.id)
         WHERE waiting.state = 'queued' AND waiting.steps >= 0)
     SELECT
         (SELECT count(*) FROM ahead),
         (SELECT CAST(coalesce(sum(steps), 0) AS bigint) FROM ahead),
         (SELECT CAST(coalesce(sum(greatest(steps - CAST(CAST(progress AS json) ->> 'step' AS bigint), 0)), 0) AS bigint)
             FROM jobs WHERE state = 'running')
     FROM this";
