//! Who may do what, and who did.

pub mod audit;
pub mod keys;
pub mod oidc;

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
    /// Whose jobs they are: a team or a pipeline, whose keys may be several, or the subject of a token.
    pub caller: String,
    /// The key's public name, or the caller's own if it is a token's subject; `None` where nobody is asked.
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

/// What a valid key or token gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Who it is.
    pub principal: Principal,
    /// Requests a minute; the configured number if `None`.
    pub requests_per_minute: Option<u32>,
}

/// Why a key or a token was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A key is malformed, unknown, revoked or expired. Which of these is nobody's business.
    #[error("the key is not valid")]
    Invalid,
    /// Nobody can tell now whether a key is good.
    #[error("keys cannot be checked now: {0}")]
    Unavailable(String),
    /// A token is not good; the text ends a sentence that begins with `the token`.
    #[error("the token {0}")]
    Token(&'static str),
    /// A good token whose subject has no role that means anything here.
    #[error("the token holds no role that means something here")]
    NoRole,
    /// The issuer's keys are not known, so nobody can tell whether a token is good.
    #[error("tokens cannot be checked now: the issuer does not answer")]
    IssuerAway { retry_seconds: u64 },
}

/// Knows who may come in.
#[async_trait]
pub trait Authority: Send + Sync + std::fmt::Debug {
    /// Whose key or token this text is.
    ///
    /// # Errors
    /// [`Refusal`].
    async fn admit(&self, credential: &str) -> Result<Admission, Refusal>;
}
#[async_trait]
impl<T: keys::KeyStore> Authority for T {
    async fn admit(&self, key: &str) -> Result<Admission, Refusal> {
        match self.verify(key).await {
            Ok(key) => Ok(Admission { principal: key.principal(), requests_per_minute: key.requests_per_minute }),
            Err(keys::KeyError::Store(error)) => Err(Refusal::Unavailable(error.to_string())),
            Err(_) => Err(Refusal::Invalid),
        }
    }
}
