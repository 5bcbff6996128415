//! A look at the database through one connection, which only reads.

use std::time::Instant;

use chrono::Utc;

use super::connection::MIGRATIONS;
use super::dialect::{self, Connection, clock};
use super::error::store_error;
use crate::jobs::store::StoreError;
use crate::jobs::store::inspection::{APPLIED, Applied, Inspection, Tables};

/// Asks for version, clock and migrations.
pub(in super::super) async fn inspect(connection: &mut Connection) -> Result<Inspection, StoreError> {
    let (server, major, read_only) = dialect::server(connection).await.map_err(store_error)?;
    let began = (Instant::now(), Utc::now());
    let clock: i64 =
        sqlx::query_scalar(concat!("SELECT ", clock!())).fetch_one(&mut *connection).await.map_err(store_error)?;
    let round_trip = began.0.elapsed();
    // the database looked at its clock halfway, give or take half of the round trip
    let halfway = began.1.timestamp_millis() as f64 + round_trip.as_secs_f64() * 500.;
    let present: bool =
        sqlx::query_scalar(dialect::HAS_MIGRATIONS).fetch_one(&mut *connection).await.map_err(store_error)?;
    let applied: Vec<Applied> = match present {
        true => sqlx::query_as(APPLIED).fetch_all(connection).await.map_err(store_error)?,
        false => Vec::new(),
    };
    Ok(Inspection {
        server,
        major,
        read_only,
        tables: Tables::compare(&MIGRATIONS, &applied),
        round_trip,
        ahead_seconds: dialect::OWN_CLOCK.then_some((clock as f64 - halfway) / 1000.),
    })
}
