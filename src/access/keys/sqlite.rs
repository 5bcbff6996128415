//! API keys beside the jobs, in the same SQLite file.

use async_trait::async_trait;

use super::{ApiKey, KeyError, KeyStore, KeyText, NewKey};
use crate::access::Scope;
use crate::jobs::store::sqlite::error::store_error;
use crate::jobs::store::sqlite::rows::{integer, milliseconds, time};
use crate::jobs::store::{Database, SqliteStore, StoreError};

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
    requests_per_minute: Option<u32>,
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
            requests_per_minute: row.requests_per_minute,
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
impl KeyStore for SqliteStore {
    async fn create(&self, key: NewKey) -> Result<(ApiKey, KeyText), StoreError> {
        let text = KeyText::random()?;
        let mut write = self.database().write().await?;
        let now = write.now;
        let row: KeyRow = sqlx::query_as(
            "INSERT INTO api_keys (id, secret_sha256, caller, scope, created_at, expires_at, requests_per_minute,
                 max_unfinished, note)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
             RETURNING *",
        )
        .bind(text.id())
        .bind(text.secret_sha256().to_vec())
        .bind(key.caller)
        .bind(key.scope.name())
        .bind(now)
        .bind(key.lifetime.map(|lifetime| now.saturating_add(milliseconds(lifetime))))
        .bind(key.requests_per_minute)
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
        let found: Option<LookedUp> = sqlx::query_as(
            "SELECT *, CAST(round(unixepoch('subsec') * 1000) AS INTEGER) AS now FROM api_keys WHERE id = ?",
        )
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
        let revoked = sqlx::query("UPDATE api_keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?")
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
        sqlx::query("UPDATE api_keys SET last_used_at = ?1 WHERE id = ?2 AND coalesce(last_used_at, 0) <= ?1 - ?3")
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tempfile::TempDir;

    use super::*;

    async fn store() -> (TempDir, SqliteStore) {
        let folder = TempDir::new().unwrap();
        let store = SqliteStore::open(&folder.path().join("segprobe.sqlite")).await.unwrap();
        (folder, store)
    }

    fn runner() -> NewKey {
        NewKey {
            caller: "radiology".into(),
            scope: Scope::Runner,
            lifetime: None,
            requests_per_minute: Some(60),
            max_unfinished: Some(5),
            note: Some("nightly run".into()),
        }
    }

    #[tokio::test]
    async fn a_key_lets_its_holder_in_as_its_caller() {
        let (_folder, store) = store().await;
        let (key, text) = store.create(runner()).await.unwrap();
        assert_eq!((key.caller.as_str(), key.scope, key.requests_per_minute), ("radiology", Scope::Runner, Some(60)));
        assert_eq!((key.expires_at, key.note.as_deref()), (None, Some("nightly run")));
        let verified = store.verify(&text.reveal()).await.unwrap();
        assert_eq!(verified, key);
        let principal = verified.principal();
        assert_eq!(
            (principal.caller.as_str(), principal.key, principal.scope),
            ("radiology", Some(key.id), Scope::Runner)
        );
        assert_eq!(principal.max_unfinished, Some(5));
    }

    #[tokio::test]
    async fn neither_a_wrong_secret_nor_a_wrong_name_lets_anybody_in() {
        let (_folder, store) = store().await;
        let (one, other) = (store.create(runner()).await.unwrap().1, store.create(runner()).await.unwrap().1);
        let secret = other.reveal()[17..].to_string();
        for text in [format!("spk_{}_{secret}", one.id()), format!("spk_{}_{secret}", "0".repeat(12))] {
            let refused = store.verify(&text).await;
            assert!(matches!(refused, Err(KeyError::Unknown)), "{refused:?}");
        }
        assert!(matches!(store.verify("spk_or_so").await, Err(KeyError::Malformed)));
    }

    #[tokio::test]
    async fn an_expired_key_is_refused() {
        let (_folder, store) = store().await;
        let (_, expired) = store.create(NewKey { lifetime: Some(Duration::ZERO), ..runner() }).await.unwrap();
        assert!(matches!(store.verify(&expired.reveal()).await, Err(KeyError::Expired { .. })));
        let (_, fresh) = store.create(NewKey { lifetime: Some(Duration::from_secs(60)), ..runner() }).await.unwrap();
        store.verify(&fresh.reveal()).await.unwrap();
    }

    #[tokio::test]
    async fn a_revoked_key_is_refused_and_stays_in_the_list() {
        let (_folder, store) = store().await;
        let (key, text) = store.create(runner()).await.unwrap();
        let (other, other_text) = store.create(NewKey { caller: "audit".into(), ..runner() }).await.unwrap();
        assert!(store.revoke(&key.id).await.unwrap());
        assert!(matches!(store.verify(&text.reveal()).await, Err(KeyError::Revoked { .. })));
        store.verify(&other_text.reveal()).await.unwrap();
        let revoked_at = store.list().await.unwrap()[1].revoked_at;
        assert!(revoked_at.is_some());
        assert!(store.revoke(&key.id).await.unwrap(), "again");
        let keys = store.list().await.unwrap();
        assert_eq!(keys.iter().map(|key| &key.id).collect::<Vec<_>>(), [&other.id, &key.id]);
        assert_eq!(keys[1].revoked_at, revoked_at);
        assert!(!store.revoke("000000000000").await.unwrap());
    }

    #[tokio::test]
    async fn the_use_of_a_key_is_noted() {
        let (_folder, store) = store().await;
        let (key, _) = store.create(runner()).await.unwrap();
        note_use(store.database().clone(), key.id.clone()).await;
        let used = store.list().await.unwrap()[0].last_used_at;
        assert!(used.unwrap() >= key.created_at);
        note_use(store.database().clone(), key.id).await;
        assert_eq!(store.list().await.unwrap()[0].last_used_at, used, "once a minute is enough");
    }

    #[tokio::test]
    async fn no_secret_is_kept() {
        let (folder, store) = store().await;
        let (_, text) = store.create(runner()).await.unwrap();
        let secret = text.reveal()[17..].to_string();
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
        }
    }
}
