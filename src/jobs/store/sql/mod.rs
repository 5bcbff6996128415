//! The statements, in the language that both databases understand.
//!
//! This module is there twice, once below each database, whose connections, errors and own words (`dialect`) it uses.

mod announcements;
mod cancel;
mod claim;
mod events;
mod inspect;
mod keys;
mod lease;
mod list;
mod maintenance;
mod rows;
mod store;
mod submit;
mod transition;

use super::{connection, dialect, error};

pub(super) use inspect::inspect;
pub use store::Store;

/// What is done by one transaction at a time, in all processes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn {
    /// Counts what waits, and adds to it.
    Submission = 0,
    /// Finds out whose turn it is, and changes it.
    Claim = 1,
}
