//! API keys: who holds one may act for a caller, within a scope, until it expires or is revoked.
//!
//! A key is shown once, when it is made. What is kept is the hash of its secret, so nobody who reads the database
//! can use one; a fast hash is enough because the secret is 256 random bits that nobody can guess.

mod text;

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{Principal, Scope};
use crate::jobs::store::StoreError;

pub use text::KeyText;

/// Why a key does not let anybody in. Those outside are told no more than that it does not.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It does not look like a key.
    #[error("this is not an API key: a key looks like spk_<id>_<secret>")]
    Malformed,
    /// No key has this name, or not with this secret.
    #[error("there is no such API key: check that it was copied whole")]
    Unknown,
    /// Somebody took it back.
    #[error("the API key {id} was revoked: ask for a new one")]
    Revoked { id: String },
    /// Its time is over.
    #[error("the API key {id} has expired: ask for a new one")]
    Expired { id: String },
    /// The keys cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Whose jobs its holder sees and submits.
    pub caller: String,
    /// What its holder may do.
    pub scope: Scope,
    /// How long it is good for; for ever if `None`.
    pub lifetime: Option<Duration>,
    /// Requests a minute; the configured limit if `None`.
    pub requests_per_minute: Option<u32>,
    /// Unfinished jobs its caller may have; the configured limit if `None`.
    pub max_unfinished: Option<u64>,
    /// What it is for, for people.
    pub note: Option<String>,
}

/// What is known of a key that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its public name, 12 hexadecimal digits.
    pub id: String,
    /// Whose jobs its holder sees and submits.
    pub caller: String,
    /// What its holder may do.
    pub scope: Scope,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// From when on it is not good any more.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was taken back.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to about a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Requests a minute; the configured limit if `None`.
    pub requests_per_minute: Option<u32>,
    /// Unfinished jobs its caller may have; the configured limit if `None`.
    pub max_unfinished: Option<u64>,
    /// What it is for, for people.
    pub note: Option<String>,
}

impl ApiKey {
    /// Who makes a request with this key.
    pub fn principal(&self) -> Principal {
        Principal {
            caller: self.caller.clone(),
            key: Some(self.id.clone()),
            scope: self.scope,
            max_unfinished: self.max_unfinished,
        }
    }
}

/// Keeps API keys.
#[async_trait]
pub trait KeyStore: Send + Sync + std::fmt::Debug {
    /// Makes a key. Its text is answered here and never again.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be kept, or the operating system has no random numbers.
    async fn create(&self, key: NewKey) -> Result<(ApiKey, KeyText), StoreError>;

    /// The key with this text, if it is good now; takes as long for an unknown key as for a wrong secret.
    ///
    /// # Errors
    /// [`KeyError`].
    async fn verify(&self, text: &str) -> Result<ApiKey, KeyError>;

    /// All keys, those of one caller together, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    async fn list(&self) -> Result<Vec<ApiKey>, StoreError>;

    /// Takes a key back from now on; `false` if there is no such key. One that was revoked before stays as it is.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    async fn revoke(&self, id: &str) -> Result<bool, StoreError>;
}
