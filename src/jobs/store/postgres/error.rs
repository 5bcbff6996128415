//! What PostgreSQL's errors mean to those who use the store.

use crate::jobs::store::StoreError;

/// Codes of errors (PostgreSQL manual, appendix A).
const DISK_FULL: &str = "53100";
const SERIALIZATION_FAILURE: &str = "40001";
const DEADLOCK_DETECTED: &str = "40P01";
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What an error of a statement means.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::Unavailable("too many requests wait for it: try again later".into()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt(error.to_string()),
        _ => match code(&error).as_deref() {
            Some(DISK_FULL) => StoreError::Full("make room on the disk of the database".into()),
            Some(SERIALIZATION_FAILURE | DEADLOCK_DETECTED | LOCK_NOT_AVAILABLE) => {
                StoreError::Unavailable("another process holds what is needed: try again later".into())
            }
            _ => StoreError::Unavailable(error.to_string()),
        },
    }
}

/// What an error says about a database that is being opened. The address may hold a password and is not told.
pub(super) fn opening(error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Configuration(_) => {
            StoreError::Corrupt("the address is not like postgres://user@host:5432/database".into())
        }
        _ => StoreError::Unavailable(error.to_string()),
    }
}

/// The code of an error that the server told.
pub(super) fn code(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}
