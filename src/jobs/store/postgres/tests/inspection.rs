//! A look at a real server.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::server::server;
use super::*;
use crate::jobs::store::{Inspection, Tables};

async fn execute(url: &str, statement: &'static str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
}

async fn look(url: &str) -> Inspection {
    PostgresStore::inspect(url).await.unwrap()
}

async fn refusal(url: &str) -> String {
    PostgresStore::inspect(url).await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_empty_database_lacks_all_migrations_and_gets_none() {
    let url = server().database().await;
    for _ in 0..2 {
        let found = look(&url).await;
        assert!(found.server.starts_with("PostgreSQL ") && found.major >= 12 && !found.read_only, "{found:?}");
        assert!(matches!(found.tables, Tables::Missing { missing, of } if missing == of && of > 0), "{found:?}");
    }
}

#[tokio::test]
async fn the_tables_of_this_version_are_current_and_the_clocks_agree() {
    let url = server().database().await;
    drop(PostgresStore::connect(&url).await.unwrap());
    let found = look(&url).await;
    assert!(matches!(found.tables, Tables::Current { .. }), "{found:?}");
    assert!(found.ahead_seconds.unwrap().abs() < 2. && !found.round_trip.is_zero(), "{found:?}");
}

#[tokio::test]
async fn migrations_that_are_missing_or_from_the_future_are_told_apart() {
    let url = server().database().await;
    drop(PostgresStore::connect(&url).await.unwrap());
    execute(&url, "DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)").await;
    assert!(matches!(look(&url).await.tables, Tables::Missing { missing: 1, .. }));
    execute(
        &url,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'from the future', true, '', 0)",
    )
    .await;
    assert_eq!(look(&url).await.tables, Tables::Newer);
}

#[tokio::test]
async fn a_server_that_takes_no_writes_says_so() {
    let url = server().database().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut connection).await.unwrap();
    let alter = AssertSqlSafe(format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    sqlx::query(alter).execute(&mut connection).await.unwrap();
    assert!(look(&url).await.read_only);
}

#[tokio::test]
async fn who_is_not_let_in_is_told_what_to_do_but_no_password() {
    let url = server().database().await;
    execute(&url, "CREATE ROLE guarded LOGIN PASSWORD 'right'").await;
    let with = |password: &str| url.replace("segprobe@", &format!("guarded:{password}@"));
    assert!(matches!(look(&with("right")).await.tables, Tables::Missing { .. }));
    let refused = refusal(&with("hunter2")).await;
    assert!(refused.contains("password authentication failed") && refused.contains("PGPASSWORD"), "{refused}");
    assert!(!refused.contains("hunter2"), "{refused}");
    let (before, after) = url.split_once("/test_").unwrap();
    let absent = format!("{before}/absent?{}", after.split_once('?').unwrap().1);
    let refused = refusal(&absent).await;
    assert!(refused.contains("create the database"), "{refused}");
    let refused = refusal("postgres://segprobe@127.0.0.1:1/segprobe").await;
    assert!(refused.contains("start the server"), "{refused}");
}
