//! A look at a database server.

use std::time::Duration;

use sqlx::{Connection, PgConnection};
use tokio::time::timeout;

use super::connection::options;
use super::error::code;
use super::{PostgresStore, sql};
use crate::jobs::store::{Inspection, StoreError};

/// How long the server may take to let us in, and again to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl PostgresStore {
    /// Looks at a database without changing it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the server cannot be reached, does not let us in or does not let us read, with what to
    /// do; [`StoreError::Corrupt`] if the address is none.
    pub async fn inspect(url: &str) -> Result<Inspection, StoreError> {
        let options = options(url)?;
        let connected = timeout(PATIENCE, PgConnection::connect_with(&options)).await;
        let mut connection = connected.map_err(|_| late())?.map_err(|error| advise(&error))?;
        let found = timeout(PATIENCE, sql::inspect(&mut connection)).await;
        // nothing was written, so nothing is lost if the farewell is
        let _ = connection.close().await;
        found.map_err(|_| late())?
    }
}

fn late() -> StoreError {
    StoreError::Unavailable(format!(
        "no answer within {} s: look at its load, and at firewalls between here and there",
        PATIENCE.as_secs()
    ))
}

/// Why there is no connection, and what to do about it. Codes are those of the manual's appendix A.
fn advise(error: &sqlx::Error) -> StoreError {
    let advice = match code(error).as_deref() {
        Some("28P01") => "correct the password in PGPASSWORD, in the file of PGPASSFILE or in storage.database",
        Some("28000") => {
            "let user and address in, in the server's pg_hba.conf, or name another user in storage.database"
        }
        Some("3D000") => "create the database, or name another in storage.database",
        Some("42501") => "grant the user CONNECT on the database",
        Some("53300") => "raise the server's max_connections, or run fewer processes (each takes up to 8 connections)",
        Some(code) if code.starts_with("57P") => "wait until the server has started",
        Some(_) => "see the server's log",
        None => "start the server, or correct host and port in storage.database; see whether a firewall is in between",
    };
    let said = error.as_database_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
    StoreError::Unavailable(format!("{said}: {advice}"))
}
