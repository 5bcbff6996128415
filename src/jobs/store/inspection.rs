//! A look at a database that changes nothing: no file, table or row is made.

use std::time::Duration;

use sqlx::migrate::Migrator;

use super::{PostgresStore, SqliteStore, StoreError};
use crate::config::StorageConfig;

/// A migration that a database says it has: version, checksum, whether it was applied to its end.
pub(super) type Applied = (i64, Vec<u8>, bool);

/// The statement that lists them.
pub(super) const APPLIED: &str = "SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version";

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// What answers, such as `PostgreSQL 16.4` or `SQLite 3.50.4`.
    pub server: String,
    /// The part of its version before the first dot.
    pub major: u32,
    /// Whether it takes no writes, as a standby server does.
    pub read_only: bool,
    pub tables: Tables,
    /// From a question to its answer.
    pub round_trip: Duration,
    /// Seconds by which the database's clock is ahead of this machine's; `None` if it is the same clock.
    pub ahead_seconds: Option<f64>,
}

/// The tables of a database beside those that this version of the program works with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tables {
    /// They are the same; so many migrations made them.
    Current { migrations: usize },
    /// Migrations are missing.
    Missing { missing: usize, of: usize },
    /// A newer version of the program made them.
    Newer,
    /// A migration was begun and did not end, or is another one than that of this program.
    Broken { version: i64 },
}

impl Inspection {
    /// Looks at the database that the settings name; `None` if it is a file that is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if it cannot be reached or does not let us in, with what to do;
    /// [`StoreError::Corrupt`] if it is none of ours.
    pub async fn of(storage: &StorageConfig) -> Result<Option<Self>, StoreError> {
        if storage.is_shared() {
            return PostgresStore::inspect(&storage.database).await.map(Some);
        }
        SqliteStore::inspect(&storage.folder.join(SqliteStore::FILE_NAME)).await
    }
}

impl Tables {
    /// Compares what was applied with what there is to apply.
    pub(super) fn compare(ours: &Migrator, applied: &[Applied]) -> Self {
        let known = |version: i64| ours.iter().find(|migration| migration.version == version);
        if applied.iter().any(|(version, ..)| known(*version).is_none()) {
            return Self::Newer;
        }
        let broken = |(version, checksum, success): &&Applied| {
            !success || known(*version).is_some_and(|migration| *migration.checksum != **checksum)
        };
        if let Some((version, ..)) = applied.iter().find(broken) {
            return Self::Broken { version: *version };
        }
        let of = ours.iter().count();
        match of - applied.len() {
            0 => Self::Current { migrations: of },
            missing => Self::Missing { missing, of },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sqlite::MIGRATIONS;
    use super::*;

    #[test]
    fn tables_are_current_behind_ahead_or_broken() {
        let all = || MIGRATIONS.iter().map(|one| (one.version, one.checksum.to_vec(), true));
        let compare = |applied: Vec<Applied>| Tables::compare(&MIGRATIONS, &applied);
        let of = all().count();
        assert_eq!(compare(all().collect()), Tables::Current { migrations: of });
        assert_eq!(compare(all().skip(1).collect()), Tables::Missing { missing: 1, of });
        assert_eq!(compare(Vec::new()), Tables::Missing { missing: of, of });
        assert_eq!(compare(all().chain([(9999, Vec::new(), true)]).collect()), Tables::Newer);
        let halfway = all().map(|(version, checksum, _)| (version, checksum, version != 2));
        assert_eq!(compare(halfway.collect()), Tables::Broken { version: 2 });
        let other = all().map(|(version, checksum, _)| (version, if version == 1 { vec![0] } else { checksum }, true));
        assert_eq!(compare(other.collect()), Tables::Broken { version: 1 });
    }
}
