//! API keys beside the jobs, in the same database.

use async_trait::async_trait;

use super::connection::Database;
use super::dialect::clock;
use super::error::store_error;
use super::rows::{integer, milliseconds, time};
use super::store::Store;
use crate::access::Scope;
use crate::access::keys::{ApiKey, KeyError, KeyStore, KeyText, NewKey};
use crate::jobs::store::StoreError;

/// Milliseconds for which a key's last use is not written again.
const USE_INTERVAL: i64 = 60_000;

#[derive(Debug, sqlx::FromRow)]
struct KeyRow {
    id: String,
    caller: String,
    scope: String,
    created_at: i64,
    expires_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
    requests_per_minute: Option<i64>,
    max_unfinished: Option<i64>,
    note: Option<String>,
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let scope = Scope::ALL.into_iter().find(|scope| scope.name() == row.scope);
        Ok(Self {
            id: row.id,
            caller: row.caller,
            scope: scope.ok_or_else(|| StoreError::Corrupt(format!("a key of the unknown scope {:?}", row.scope)))?,
            created_at: time(row.created_at)?,
            expires_at: row.expires_at.map(time).transpose()?,
            revoked_at: row.revoked_at.map(time).transpose()?,
            last_used_at: row.last_used_at.map(time).transpose()?,
            requests_per_minute: row.requests_per_minute.and_then(|number| u32::try_from(number).ok()),
            max_unfinished: row.max_unfinished.and_then(|number| u64::try_from(number).ok()),
            note: row.note,
        })
    }
}

/// A key as it is looked up: with its proof and the database's clock.
#[derive(Debug, sqlx::FromRow)]
struct LookedUp {
    secret_sha256: Vec<u8>,
    now: i64,
    #[sqlx(flatten)]
    key: KeyRow,
}

#[async_trait]
impl KeyStore for Store {
    async fn create(&self, key: NewKey) -> Result<(ApiKey, KeyText), StoreError> {
        let text = KeyText::random()?;
        let mut write = self.database().write().await?;
        let now = write.now;
        let row: KeyRow = sqlx::query_as(
            "INSERT INTO api_keys (id, secret_sha256, caller, scope, created_at, expires_at, requests_per_minute,
                 max_unfinished, note)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             RETURNING *",
        )
        .bind(text.id())
        .bind(text.secret_sha256().to_vec())
        .bind(key.caller)
        .bind(key.scope.name())
        .bind(now)
        .bind(key.lifetime.map(|lifetime| now.saturating_add(milliseconds(lifetime))))
        .bind(key.requests_per_minute.map(i64::from))
        .bind(key.max_unfinished.map(integer))
        .bind(key.note)
        .fetch_one(write.connection())
        .await
        .map_err(store_error)?;
        write.commit_quietly().await?;
        Ok((row.try_into()?, text))
    }

    async fn verify(&self, text: &str) -> Result<ApiKey, KeyError> {
        let text = KeyText::parse(text).ok_or(KeyError::Malformed)?;
        let found: Option<LookedUp> =
            sqlx::query_as(concat!("SELECT *, ", clock!(), " AS now FROM api_keys WHERE id = $1"))
                .bind(text.id())
                .fetch_optional(self.database().readers())
                .await
                .map_err(store_error)?;
        let kept = found.as_ref().and_then(|found| found.secret_sha256.first_chunk::<32>());
        if !text.proves(kept) {
            return Err(KeyError::Unknown);
        }
        let Some(LookedUp { key, now, .. }) = found else { return Err(KeyError::Unknown) };
        if key.revoked_at.is_some() {
            return Err(KeyError::Revoked { id: key.id });
        }
        if key.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(KeyError::Expired { id: key.id });
        }
        if key.last_used_at.is_none_or(|used| used <= now - USE_INTERVAL) {
            // a request need not wait for this, nor fail with it
            tokio::spawn(note_use(self.database().clone(), key.id.clone()));
        }
        Ok(key.try_into()?)
    }

    async fn list(&self) -> Result<Vec<ApiKey>, StoreError> {
        let rows: Vec<KeyRow> = sqlx::query_as("SELECT * FROM api_keys ORDER BY caller, created_at, id")
            .fetch_all(self.database().readers())
            .await
            .map_err(store_error)?;
        rows.into_iter().map(ApiKey::try_from).collect()
    }

    async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let mut write = self.database().write().await?;
        let now = write.now;
        let revoked = sqlx::query("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $1) WHERE id = $2")
            .bind(now)
            .bind(id)
            .execute(write.connection())
            .await
            .map_err(store_error)?;
        write.commit_quietly().await?;
        Ok(revoked.rows_affected() > 0)
    }
}

/// Writes down that a key was used just now, unless that was written a moment ago.
async fn note_use(database: Database, id: String) {
    let written = async {
        let mut write = database.write().await?;
        let now = write.now;
        sqlx::query("UPDATE api_keys SET last_used_at = $1 WHERE id = $2 AND coalesce(last_used_at, 0) <= $1 - $3")
            .bind(now)
            .bind(&id)
            .bind(USE_INTERVAL)
            .execute(write.connection())
            .await
            .map_err(store_error)?;
        write.commit_quietly().await
    };
    if let Err(error) = written.await {
        tracing::warn!(key = %id, %error, "the use of a key could not be noted");
    }
}
