//! A look at a database file.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use super::error::opening;
use super::{SqliteStore, sql};
use crate::jobs::store::{Inspection, StoreError};

/// How long to wait for a process that is ending the log of writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

impl SqliteStore {
    /// Looks at a database file without changing it; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be read, [`StoreError::Corrupt`] if it is no database.
    pub async fn inspect(path: &Path) -> Result<Option<Inspection>, StoreError> {
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(StoreError::Unavailable(format!("{}: {error}", path.display()))),
        }
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        // Without a log nobody writes, and a reader that is told so makes no files of its own beside the database.
        let quiet = !Path::new(&log).exists();
        let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(quiet);
        let mut connection =
            options.busy_timeout(BUSY_TIMEOUT).connect().await.map_err(|error| opening(path, &error))?;
        let found = sql::inspect(&mut connection).await;
        connection.close().await.map_err(|error| opening(path, &error))?;
        found.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqliteJournalMode;
    use tempfile::TempDir;

    use super::super::MIGRATIONS;
    use super::*;
    use crate::jobs::store::Tables;

    fn files(folder: &TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_not_made() {
        let folder = TempDir::new().unwrap();
        assert_eq!(SqliteStore::inspect(&folder.path().join("a/segprobe.sqlite")).await.unwrap(), None);
        assert!(files(&folder).is_empty());
    }

    #[tokio::test]
    async fn a_database_in_use_is_current_and_has_our_clock() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("segprobe.sqlite");
        let _store = SqliteStore::open(&path).await.unwrap();
        let before = files(&folder);
        let found = SqliteStore::inspect(&path).await.unwrap().unwrap();
        assert!(found.server.starts_with("SQLite 3.") && found.major == 3, "{found:?}");
        assert!(matches!(found.tables, Tables::Current { .. }), "{found:?}");
        assert_eq!((found.ahead_seconds, found.read_only), (None, false));
        assert_eq!(files(&folder), before);
    }

    #[tokio::test]
    async fn a_migration_that_is_missing_is_counted_and_not_made_good() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("segprobe.sqlite");
        let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut writer = options.journal_mode(SqliteJournalMode::Wal).connect().await.unwrap();
        MIGRATIONS.run(&mut writer).await.unwrap();
        let delete = "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)";
        sqlx::query(delete).execute(&mut writer).await.unwrap();
        writer.close().await.unwrap();
        assert_eq!(files(&folder), ["segprobe.sqlite"], "nobody has the file open");
        for _ in 0..2 {
            let found = SqliteStore::inspect(&path).await.unwrap().unwrap();
            assert!(matches!(found.tables, Tables::Missing { missing: 1, of } if of > 1), "{found:?}");
        }
        assert_eq!(files(&folder), ["segprobe.sqlite"], "a look leaves no files");
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("segprobe.sqlite");
        std::fs::write(&path, "no database, only some text that is longer than nothing").unwrap();
        let Err(StoreError::Corrupt(reason)) = SqliteStore::inspect(&path).await else { panic!("it is none") };
        assert!(reason.contains("segprobe.sqlite") || reason.contains("not a database"), "{reason}");
    }
}
