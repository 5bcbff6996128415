//! Opening the database file, and the two ways to reach it: one connection writes, several read.
//!
//! SQLite lets one connection write at a time. Writers of this process therefore wait for each other in the pool,
//! in order, and only those of other processes wait in the file's lock. Each write transaction takes that lock when
//! it begins: one that read first and wrote later would fail at once if another had written in between.

use std::path::Path;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};
use tokio::sync::watch;

use super::dialect::clock;
use super::error::{is_busy, opening, store_error};
use super::sql::Turn;
use crate::jobs::store::{StoreError, note_change};

pub(in super::super) static MIGRATIONS: Migrator = sqlx::migrate!("src/jobs/store/sqlite/migrations");

/// How long a write waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a write waits for those of this process, which are short.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read at once.
const READERS: u32 = 4;

/// The database file. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Database {
    readers: SqlitePool,
    writer: SqlitePool,
    changes: watch::Sender<u64>,
}

impl Database {
    /// Opens a database file, made if it is absent as its folder is, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the file cannot be opened or stays locked, [`StoreError::Corrupt`] if it is not
    /// a database of this program or one of a newer version.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_waiting(path, BUSY_TIMEOUT).await
    }

    /// As [`Self::open`], with another time to wait for other processes.
    pub(super) async fn open_waiting(path: &Path, busy: Duration) -> Result<Self, StoreError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        std::fs::create_dir_all(folder)
            .map_err(|error| StoreError::Unavailable(format!("the folder {}: {error}", folder.display())))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(busy);
        let pool = SqlitePoolOptions::new().acquire_timeout(POOL_TIMEOUT).idle_timeout(None).max_lifetime(None);
        let pool = pool.after_release(|connection, _| Box::pin(is_usable(connection)));
        let writer = connect_writer(path, pool.clone().max_connections(1), options.clone(), busy).await?;
        migrate(&writer).await.map_err(|error| opening_migration(path, error))?;
        let readers = pool.max_connections(READERS).connect_with(options.pragma("query_only", "on")).await;
        let readers = readers.map_err(|error| opening(path, &error))?;
        Ok(Self { readers, writer, changes: watch::Sender::new(0) })
    }

    /// Begins to write; whatever is written by then is seen, and nobody else writes until the end.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if others write for too long.
    pub(super) async fn write(&self) -> Result<Write<'_>, StoreError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(store_error)?;
        let now = now(&mut transaction).await?;
        Ok(Write { transaction, now, changes: &self.changes })
    }

    /// Begins to write when it is its turn, which it is at once: whoever writes is alone.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) async fn write_in_turn(&self, _: Turn) -> Result<Write<'_>, StoreError> {
        self.write().await
    }

    /// The connections that read.
    pub(super) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The database's clock in UTC milliseconds.
    pub(super) async fn now(&self) -> Result<i64, StoreError> {
        now(&mut *self.readers.acquire().await.map_err(store_error)?).await
    }

    /// Told whenever this process changed a job.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// A write transaction; undone if it is dropped.
#[derive(Debug)]
pub(super) struct Write<'a> {
    transaction: Transaction<'static, Sqlite>,
    /// The database's clock at the beginning, in UTC milliseconds.
    pub(super) now: i64,
    changes: &'a watch::Sender<u64>,
}

impl Write<'_> {
    /// Where the statements go.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// Makes a change durable and tells those who wait for one.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        let changes = self.changes;
        self.commit_quietly().await?;
        note_change(changes);
        Ok(())
    }

    /// Makes a change durable that is none of a job.
    pub(super) async fn commit_quietly(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(store_error)
    }
}

/// Whether a connection that was given back can begin a transaction. On a full disk, among others, SQLite ends a
/// transaction by itself; the driver fails to end it again, counts it as open, and would refuse to begin another.
async fn is_usable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Its turn comes after the end that a dropped transaction asks for.
    sqlx::query("SELECT 1").execute(&mut *connection).await?;
    Ok(!connection.is_in_transaction())
}

/// The database's clock in UTC milliseconds.
async fn now(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar(concat!("SELECT ", clock!())).fetch_one(connection).await.map_err(store_error)
}

/// The connection that writes. Two processes that turn a new file to WAL together do not wait for each other as
/// statements do: one fails at once and has to try again.
async fn connect_writer(
    path: &Path,
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
    busy: Duration,
) -> Result<SqlitePool, StoreError> {
    const PAUSE: Duration = Duration::from_millis(20);
    let deadline = Instant::now() + busy;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && Instant::now() < deadline => tokio::time::sleep(PAUSE).await,
            connected => return connected.map_err(|error| opening(path, &error)),
        }
    }
}

/// All or nothing, and never by two processes at once.
async fn migrate(writer: &SqlitePool) -> Result<(), MigrateError> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    MIGRATIONS.run_direct(None, &mut *transaction, false).await?;
    Ok(transaction.commit().await?)
}

/// What a failed migration says about a file.
fn opening_migration(path: &Path, error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => opening(path, &error),
        MigrateError::VersionMissing(_) => StoreError::Corrupt(format!(
            "{} was written by a newer version of this program: use that version, or another folder",
            path.display()
        )),
        error => StoreError::Corrupt(format!("{}: {error}", path.display())),
    }
}
