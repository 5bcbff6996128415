//! The store that the settings name.

use std::sync::Arc;

use super::{JobStore, PostgresStore, SqliteStore, StoreError};
use crate::access::Authority;
use crate::access::keys::KeyStore;
use crate::config::StorageConfig;

/// One database, seen as what each part of the program asks of it.
#[derive(Debug, Clone)]
pub struct OpenedStore {
    pub jobs: Arc<dyn JobStore>,
    pub keys: Arc<dyn KeyStore>,
    pub authority: Arc<dyn Authority>,
}

impl OpenedStore {
    /// Opens the database and brings its tables up to date.
    ///
    /// # Errors
    /// Those of [`SqliteStore::open`] and [`PostgresStore::connect`].
    pub async fn open(storage: &StorageConfig) -> Result<Self, StoreError> {
        if storage.is_shared() {
            return Ok(Self::of(PostgresStore::connect(&storage.database).await?));
        }
        Ok(Self::of(SqliteStore::open(&storage.folder.join(SqliteStore::FILE_NAME)).await?))
    }

    fn of(store: impl JobStore + KeyStore + Authority + 'static) -> Self {
        let store = Arc::new(store);
        Self { jobs: store.clone(), keys: store.clone(), authority: store }
    }
}
