//! The pool of connections, and transactions that write.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{PgConnection, Postgres, Transaction};
use tokio::sync::watch;
use uuid::Uuid;

use super::dialect::clock;
use super::error::{opening, store_error};
use super::notice;
use super::sql::Turn;
use crate::jobs::store::{StoreError, note_change};

pub(super) static MIGRATIONS: Migrator = sqlx::migrate!("src/jobs/store/postgres/migrations");

/// How long a request waits for a connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of a process.
const CONNECTIONS: u32 = 8;
/// The first half of the names of our advisory locks: "segp".
const LOCKS: i32 = 0x7365_6770;

/// The database. Clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Database {
    pool: PgPool,
    /// Who this process is in what it tells others; new with each start.
    process: Uuid,
    changes: watch::Sender<u64>,
}

impl Database {
    pub(super) async fn connect(url: &str) -> Result<Self, StoreError> {
        let options = options(url)?;
        let options = options.options([
            // a lock that is not free by then belongs to a transaction whose process hangs
            ("lock_timeout", "10s"),
            ("idle_in_transaction_session_timeout", "60s"),
            // a claim takes a millisecond, but is estimated so high that it would first be compiled, for twenty-five
            ("jit", "off"),
        ]);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(POOL_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(|error| opening(&error))?;
        MIGRATIONS.run(&pool).await.map_err(opening_migration)?;
        let changes = watch::Sender::new(0);
        let process = Uuid::now_v7();
        notice::listen(pool.clone(), process, changes.clone()).await.map_err(|error| opening(&error))?;
        Ok(Self { pool, process, changes })
    }

    /// Begins to write.
    pub(super) async fn write(&self) -> Result<Write<'_>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(store_error)?;
        let now = now(&mut transaction).await?;
        Ok(Write { database: self, transaction, now })
    }

    /// Begins to write after those who do the same, and lets nobody else do it until the end.
    pub(super) async fn write_in_turn(&self, turn: Turn) -> Result<Write<'_>, StoreError> {
        let mut transaction = self.pool.begin().await.map_err(store_error)?;
        sqlx::query("SELECT pg_advisory_xact_lock($1, $2)")
            .bind(LOCKS)
            .bind(turn as i32)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
        // a statement of its own: the time at which the turn came
        let now = now(&mut transaction).await?;
        Ok(Write { database: self, transaction, now })
    }

    /// The connections for what only reads.
    pub(super) fn readers(&self) -> &PgPool {
        &self.pool
    }

    /// The database's clock in UTC milliseconds.
    pub(super) async fn now(&self) -> Result<i64, StoreError> {
        now(&mut *self.pool.acquire().await.map_err(store_error)?).await
    }

    /// Told whenever a process changed a job.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Where to connect: what the address leaves out comes from the variables of libpq.
pub(super) fn options(url: &str) -> Result<PgConnectOptions, StoreError> {
    Ok(PgConnectOptions::from_str(url).map_err(|error| opening(&error))?.application_name("segprobe"))
}

/// A transaction that writes; undone if it is dropped.
#[derive(Debug)]
pub(super) struct Write<'a> {
    database: &'a Database,
    transaction: Transaction<'static, Postgres>,
    /// The database's clock at the beginning, or when its turn came, in UTC milliseconds.
    pub(super) now: i64,
}

impl Write<'_> {
    /// Where the statements go.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// Makes a change durable and tells those who wait for one.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let database = self.database;
        notice::tell(self.connection(), database.process).await?;
        self.commit_quietly().await?;
        note_change(&database.changes);
        Ok(())
    }

    /// Makes a change durable that is none of a job.
    pub(super) async fn commit_quietly(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(store_error)
    }
}

/// The database's clock in UTC milliseconds.
async fn now(connection: &mut PgConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar(concat!("SELECT ", clock!())).fetch_one(connection).await.map_err(store_error)
}

/// What a failed migration says.
fn opening_migration(error: MigrateError) -> StoreError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => opening(&error),
        MigrateError::VersionMissing(_) => StoreError::Corrupt(
            "the database was written by a newer version of this program: use that version, or another database".into(),
        ),
        error => StoreError::Corrupt(error.to_string()),
    }
}
