//! Who may do what, and who did.

pub mod audit;

use async_trait::async_trait;
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

impl Principal {
    /// Whoever asks where nobody is asked for a key.
    pub fn without_key() -> Self {
        Self { caller: "local".into(), key: None, scope: Scope::Admin, max_unfinished: None }
    }
}

/// What a valid key gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Who it is.
    pub principal: Principal,
    /// Requests a minute; the configured number if `None`.
    pub requests_per_minute: Option<u32>,
}

/// Why a key was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is malformed, unknown, revoked or expired. Which of these is nobody's business.
    #[error("the key is not valid")]
    Invalid,
    /// Nobody can tell now.
    #[error("keys cannot be checked now: {0}")]
    Unavailable(String),
}

/// Knows the keys.
#[async_trait]
pub trait Authority: Send + Sync + std::fmt::Debug {
    /// Whose key this text is.
    ///
    /// # Errors
    /// [`Refusal`].
    async fn admit(&self, key: &str) -> Result<Admission, Refusal>;
}
