//! The conformance suite on SQLite, and what only a file can do.

use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::*;
use crate::access::Scope;
use crate::access::keys::{KeyStore, NewKey};
use crate::jobs::State;
use crate::jobs::store::JobStore;
use crate::jobs::store::conformance::{self, Opened};

/// A store in a folder of its own.
async fn open() -> Opened {
    let folder = TempDir::new().unwrap();
    let store = std::sync::Arc::new(SqliteStore::open(&folder.path().join("segprobe.sqlite")).await.unwrap());
    Opened { store: store.clone(), keys: store, keep: Box::new(folder) }
}

conformance::suite!(crate::jobs::store::sqlite::tests::open);

/// A connection as another program would have it.
async fn stranger(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

#[tokio::test]
async fn a_file_that_was_not_closed_is_opened_again_with_all_that_was_answered() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("made/by/opening/segprobe.sqlite");
    let store: std::sync::Arc<dyn JobStore> = std::sync::Arc::new(SqliteStore::open(&path).await.unwrap());
    let job = conformance::submit(&store, conformance::new_job("a")).await;
    let (running, lease) = conformance::claim(&store).await.unwrap();
    drop(store);
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(store.find(job.id).await.unwrap(), Some(running));
    assert!(store.succeed(&lease, &conformance::outcome()).await.unwrap());
    assert_eq!(store.counts().await.unwrap().succeeded, 1);
}

#[tokio::test]
async fn a_file_that_another_program_writes_is_unavailable_until_that_is_done() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segprobe.sqlite");
    let database = Database::open_waiting(&path, Duration::from_millis(20)).await.unwrap();
    let store: std::sync::Arc<dyn JobStore> = std::sync::Arc::new(SqliteStore(database));
    let job = conformance::submit(&store, conformance::new_job("a")).await;
    let mut stranger = stranger(&path).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut stranger).await.unwrap();
    let claimed = store.claim("worker", &["demo".into()], Duration::from_secs(1)).await;
    assert!(matches!(claimed, Err(StoreError::Unavailable(_))), "{claimed:?}");
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.find(job.id).await.unwrap().unwrap().state, State::Queued, "reading goes on");
    sqlx::query("ROLLBACK").execute(&mut stranger).await.unwrap();
    store.ping().await.unwrap();
    assert_eq!(conformance::claim(&store).await.unwrap().0.id, job.id);
}

#[tokio::test]
async fn two_processes_may_open_a_new_file_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segprobe.sqlite");
    let (one, other) = tokio::join!(SqliteStore::open(&path), SqliteStore::open(&path));
    let (one, other) = (one.unwrap(), other.unwrap());
    let one: std::sync::Arc<dyn JobStore> = std::sync::Arc::new(one);
    let job = conformance::submit(&one, conformance::new_job("a")).await;
    assert_eq!(other.find(job.id).await.unwrap(), Some(job));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segprobe.sqlite");
    std::fs::write(&path, "not a database, but long enough to be taken for one ".repeat(100)).unwrap();
    let opened = SqliteStore::open(&path).await;
    let Err(StoreError::Corrupt(reason)) = &opened else { panic!("{opened:?}") };
    assert!(reason.ends_with("segprobe.sqlite is not a database"), "{reason}");
    let opened = SqliteStore::open(folder.path()).await;
    assert!(matches!(opened, Err(StoreError::Unavailable(_))), "{opened:?}");
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segprobe.sqlite");
    drop(SqliteStore::open(&path).await.unwrap());
    let mut stranger = stranger(&path).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, x'00', 0)",
    )
    .execute(&mut stranger)
    .await
    .unwrap();
    stranger.close().await.unwrap();
    let opened = SqliteStore::open(&path).await;
    let Err(StoreError::Corrupt(reason)) = &opened else { panic!("{opened:?}") };
    assert!(reason.contains("newer version"), "{reason}");
}

/// The compiler does not see that a file was added: touch `connection.rs` then.
#[test]
fn every_migration_is_compiled_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/jobs/store/sqlite/migrations");
    assert_eq!(connection::MIGRATIONS.iter().count(), std::fs::read_dir(folder).unwrap().count());
}

#[tokio::test]
async fn a_full_disk_is_told_and_recovered_from() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("segprobe.sqlite");
    let store = SqliteStore::open(&path).await.unwrap();
    let mut write = store.0.write().await.unwrap();
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(write.connection()).await.unwrap();
    let limit = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query(limit).execute(write.connection()).await.unwrap();
    drop(write);
    let mut job = conformance::new_job("a");
    job.inputs.image.notes = vec!["long ".repeat(10_000)];
    let limits = crate::jobs::store::QueueLimits { queued: 9, per_caller: 9 };
    let submitted = store.submit(job.clone(), limits).await;
    assert!(matches!(submitted, Err(StoreError::Full(_))), "{submitted:?}");
    let mut write = store.0.write().await.unwrap();
    sqlx::query("PRAGMA max_page_count = 1000000").execute(write.connection()).await.unwrap();
    drop(write);
    store.submit(job, limits).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_end_all_writing() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("segprobe.sqlite")).await.unwrap();
    for _ in 0..3 {
        let mut write = store.0.write().await.unwrap();
        // What a full disk does, unseen by the driver.
        sqlx::query("ROLLBACK").execute(write.connection()).await.unwrap();
        drop(write);
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn no_secret_is_kept() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(&folder.path().join("segprobe.sqlite")).await.unwrap();
    let key = NewKey {
        caller: "a".into(),
        scope: Scope::Runner,
        lifetime: None,
        requests_per_minute: None,
        max_unfinished: None,
        note: None,
    };
    let (_, text) = store.create(key).await.unwrap();
    let secret = text.reveal()[17..].to_string();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
    }
}
