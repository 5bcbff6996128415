//! Who may do what.

pub mod keys;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a key allows; each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Look at the caller's jobs and their files.
    Reader,
    /// Also submit, cancel, repeat and delete them.
    Runner,
    /// Also those of all callers, and raise priorities.
    Admin,
}

impl Scope {
    /// All scopes, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Reader, Self::Runner, Self::Admin];

    /// The name used in requests, answers and the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Runner => "runner",
            Self::Admin => "admin",
        }
    }
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose jobs they are: a team or a pipeline; several keys may share one.
    pub caller: String,
    /// The key's public name; `None` on an open loopback.
    pub key: Option<String>,
    /// What is allowed.
    pub scope: Scope,
    /// Unfinished jobs the caller may have, if the key says so.
    pub max_unfinished: Option<u64>,
}
