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

/// The members of $1, a JSON list of texts, as a table `models (value)`.
macro_rules! models {
    () => {
        "json_each($1) AS models"
    };
}

pub(super) use {clock, for_update, for_update_of_free, models};

/// Whether the database's clock may be another than this machine's.
pub(super) const OWN_CLOCK: bool = false;

/// Whether there is a list of applied migrations.
pub(super) const HAS_MIGRATIONS: &str = "SELECT count(*) > 0 FROM sqlite_master WHERE name = '_sqlx_migrations'";

/// Name and version of what answers, the first number of the version, and whether it takes no writes.
pub(super) async fn server(connection: &mut Connection) -> Result<(String, u32, bool), sqlx::Error> {
    let version: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(connection).await?;
    let major = version.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
    Ok((format!("SQLite {version}"), major, false))
}

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
