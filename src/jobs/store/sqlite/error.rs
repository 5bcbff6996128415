//! What SQLite's errors mean to those who use the store.

use std::path::Path;

use crate::jobs::store::StoreError;

/// Primary result codes (<https://sqlite.org/rescode.html>).
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const NOT_A_DATABASE: i32 = 26;

/// What an error of a statement means.
pub(super) fn store_error(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::PoolTimedOut => StoreError::Unavailable("too many requests wait for it: try again later".into()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreError::Corrupt(error.to_string()),
        _ => match primary_code(&error) {
            Some(BUSY | LOCKED) => StoreError::Unavailable("another process holds it: try again later".into()),
            Some(FULL) => StoreError::Full("make room on the disk".into()),
            Some(CORRUPT | NOT_A_DATABASE) => StoreError::Corrupt(error.to_string()),
            _ => StoreError::Unavailable(error.to_string()),
        },
    }
}

/// What an error says about a file that is being opened.
pub(super) fn opening(path: &Path, error: &sqlx::Error) -> StoreError {
    match primary_code(error) {
        Some(NOT_A_DATABASE) => StoreError::Corrupt(format!("{} is not a database", path.display())),
        Some(BUSY | LOCKED) => StoreError::Unavailable(format!("another process holds {}", path.display())),
        Some(FULL) => StoreError::Full(format!("make room on the disk of {}", path.display())),
        Some(CORRUPT) => StoreError::Corrupt(format!("{}: {error}", path.display())),
        _ => StoreError::Unavailable(format!("{}: {error}", path.display())),
    }
}

/// Whether another connection holds the file.
pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(BUSY | LOCKED))
}

/// SQLite's result code without what extends it.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}
