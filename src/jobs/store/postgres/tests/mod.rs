//! The conformance suite on PostgreSQL, and what only a server can do.

mod inspection;
mod server;

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};

use self::server::server;
use super::*;
use crate::jobs::State;
use crate::jobs::store::conformance::{self, LONG, MODEL, Opened, Store};

/// A store in a database of its own.
async fn open() -> Opened {
    let store = Arc::new(PostgresStore::connect(&server().database().await).await.unwrap());
    Opened { store: store.clone(), keys: store, keep: Box::new(()) }
}

conformance::suite!(crate::jobs::store::postgres::tests::open);

/// Two processes at one database.
async fn two() -> (Store, Store, String) {
    let url = server().database().await;
    let (one, other) = tokio::join!(PostgresStore::connect(&url), PostgresStore::connect(&url));
    (Arc::new(one.unwrap()), Arc::new(other.unwrap()), url)
}

#[tokio::test]
async fn two_processes_may_make_the_tables_at_once() {
    let (one, other, _) = two().await;
    let job = conformance::submit(&one, conformance::new_job("a")).await;
    assert_eq!(other.find(job.id).await.unwrap(), Some(job));
}

#[tokio::test]
async fn processes_tell_each_other_of_changes() {
    let (one, other, _) = two().await;
    let mut changes = other.changes();
    conformance::submit(&one, conformance::new_job("a")).await;
    tokio::time::timeout(Duration::from_secs(20), changes.changed()).await.expect("told").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_is_cancelled_while_it_is_claimed_is_one_or_the_other() {
    let (one, other, _) = two().await;
    for _ in 0..40 {
        let job = conformance::submit(&one, conformance::new_job("a")).await;
        let models = [MODEL.to_owned()];
        let (claimed, cancelled) = tokio::join!(one.claim("worker", &models, LONG), other.cancel(job.id));
        cancelled.unwrap().expect("the job is there");
        let now = one.find(job.id).await.unwrap().unwrap();
        match claimed.unwrap() {
            Some((_, lease)) => {
                assert_eq!((now.state, now.cancel_requested), (State::Running, true));
                assert!(one.stop(&lease).await.unwrap());
            }
            None => assert_eq!(now.state, State::Cancelled),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_all_connections_is_connected_to_again() {
    let (one, other, url) = two().await;
    let job = conformance::submit(&one, conformance::new_job("a")).await;
    let mut changes = other.changes();
    let mut stranger = PgConnection::connect(&url).await.unwrap();
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    .execute(&mut stranger)
    .await
    .unwrap();
    let claimed = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Ok(Some((claimed, _))) = one.claim("worker", &[MODEL.into()], LONG).await {
                return claimed;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(claimed.await.expect("the store works again").id, job.id);
    tokio::time::sleep(Duration::from_secs(2)).await;
    changes.mark_unchanged();
    conformance::submit(&one, conformance::new_job("a")).await;
    tokio::time::timeout(Duration::from_secs(20), changes.changed()).await.expect("told").unwrap();
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_without_its_password() {
    let refused = PostgresStore::connect("postgres://segprobe:hunter2@localhost:port/segprobe").await;
    let Err(StoreError::Corrupt(reason)) = refused else { panic!("{refused:?}") };
    assert!(!reason.contains("hunter2"), "{reason}");
}

#[tokio::test]
async fn tables_of_a_newer_version_are_refused() {
    let url = server().database().await;
    drop(PostgresStore::connect(&url).await.unwrap());
    let mut stranger = PgConnection::connect(&url).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '', 0)",
    )
    .execute(&mut stranger)
    .await
    .unwrap();
    let opened = PostgresStore::connect(&url).await;
    let Err(StoreError::Corrupt(reason)) = &opened else { panic!("{opened:?}") };
    assert!(reason.contains("newer version"), "{reason}");
}

/// The compiler does not see that a file was added: touch `connection.rs` then.
#[test]
fn every_migration_is_compiled_in() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/jobs/store/postgres/migrations");
    assert_eq!(connection::MIGRATIONS.iter().count(), std::fs::read_dir(folder).unwrap().count());
}
