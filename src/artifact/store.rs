//! The store behind all files: a folder, or a bucket that all processes share.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, PutMode, RetryConfig};

use super::{ArtifactError, leftovers};
use crate::report::manifest::sha256;

/// How long one request to a bucket may take, and how long a failing one is tried again.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const RETRY_TIMEOUT: Duration = Duration::from_secs(20);

/// Keeps files by path. Clones are the same store.
#[derive(Debug, Clone)]
pub struct Artifacts {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Where partial files may be left behind.
    folder: Option<PathBuf>,
}

/// A bucket of S3 or of a server that speaks its protocol. Credentials come from the environment: `AWS_ACCESS_KEY_ID`
/// and `AWS_SECRET_ACCESS_KEY`, a web identity (`AWS_ROLE_ARN`, `AWS_WEB_IDENTITY_TOKEN_FILE`), or the instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// `https://host:port`; of the region if `None`.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Whether the bucket's name is in the path rather than in the host.
    pub path_style: bool,
}

impl Artifacts {
    /// Files below a folder of their own, which is made if it is absent. A file that was put outlives a power cut.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn open(folder: &std::path::Path) -> Result<Self, ArtifactError> {
        std::fs::create_dir_all(folder).map_err(|error| unavailable(&error))?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(|error| explain(&error))?;
        let store = Arc::new(store.with_fsync(true).with_automatic_cleanup(true));
        Ok(Self { store, folder: Some(folder.into()) })
    }

    /// Files in a bucket, which must exist.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`] for an address that is none.
    pub fn in_bucket(bucket: &Bucket) -> Result<Self, ArtifactError> {
        crate::tls::install();
        let address = bucket.url.strip_prefix("s3://").unwrap_or_default();
        let (name, prefix) = address.split_once('/').unwrap_or((address, ""));
        let wrong = |_| ArtifactError::Unavailable(format!("{:?} is not like s3://bucket/prefix", bucket.url));
        let prefix = Path::parse(prefix.trim_end_matches('/')).map_err(wrong)?;
        let plain = bucket.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let client = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(plain);
        let retry = RetryConfig { retry_timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(name)
            .with_virtual_hosted_style_request(!bucket.path_style)
            .with_client_options(client)
            .with_retry(retry);
        if let Some(endpoint) = &bucket.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &bucket.region {
            builder = builder.with_region(region);
        }
        let store = builder.build().map_err(|error| explain(&error))?;
        Ok(Self { store: Arc::new(PrefixStore::new(store, prefix)), folder: None })
    }

    /// Files in another store.
    #[cfg(test)]
    pub(crate) fn over(store: impl ObjectStore) -> Self {
        Self { store: Arc::new(store), folder: None }
    }

    /// Keeps a file: whole, or not at all. A file that is there already is never changed; the same bytes may be put
    /// again, since the answer to the first time may have been lost.
    ///
    /// # Errors
    /// [`ArtifactError::Full`], [`ArtifactError::Unavailable`]; [`ArtifactError::Damaged`] if the file is there with
    /// other bytes.
    pub async fn put(&self, prefix: &Path, name: &str, bytes: Bytes) -> Result<(), ArtifactError> {
        let path = prefix.clone().join(name);
        match self.store.put_opts(&path, bytes.clone().into(), PutMode::Create.into()).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                self.get_verified(prefix, name, &sha256(&bytes)).await.map(drop)
            }
            Err(error) => Err(explain(&error)),
        }
    }

    /// A file; `None` if there is none.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`].
    pub async fn get(&self, prefix: &Path, name: &str) -> Result<Option<Bytes>, ArtifactError> {
        let found = match self.store.get(&prefix.clone().join(name)).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| explain(&error))?,
        };
        found.bytes().await.map(Some).map_err(|error| explain(&error))
    }

    /// A file of which the SHA-256 is known.
    ///
    /// # Errors
    /// [`ArtifactError::Damaged`] if it is gone or has other bytes; [`ArtifactError::Unavailable`].
    pub async fn get_verified(&self, prefix: &Path, name: &str, expected: &str) -> Result<Bytes, ArtifactError> {
        match self.get(prefix, name).await? {
            Some(bytes) if sha256(&bytes) == expected => Ok(bytes),
            _ => Err(ArtifactError::Damaged { name: name.into() }),
        }
    }

    /// Deletes all files below a prefix; none is fine.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`]; some files may be gone.
    pub async fn delete(&self, prefix: &Path) -> Result<(), ArtifactError> {
        let found: Vec<_> = match self.store.list(Some(prefix)).map_ok(|object| object.location).try_collect().await {
            Err(object_store::Error::NotFound { .. }) => return Ok(()),
            found => found.map_err(|error| explain(&error))?,
        };
        for path in found {
            match self.store.delete(&path).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(explain(&error)),
            }
        }
        Ok(())
    }

    /// The names right below a prefix under which there may be files.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`].
    pub async fn below(&self, prefix: &Path) -> Result<Vec<String>, ArtifactError> {
        match self.store.list_with_delimiter(Some(prefix)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(explain(&error)),
            Ok(found) => {
                Ok(found.common_prefixes.iter().filter_map(|path| Some(path.filename()?.to_owned())).collect())
            }
        }
    }

    /// Removes what processes that were killed while writing have left behind, if it is older than `age`, and
    /// answers how many files that were.
    ///
    /// # Errors
    /// [`ArtifactError::Unavailable`].
    pub async fn remove_leftovers(&self, age: Duration) -> Result<u64, ArtifactError> {
        let Some(folder) = self.folder.clone() else { return Ok(0) };
        let removed = tokio::task::spawn_blocking(move || leftovers::remove(&folder, age)).await;
        removed.map_err(io::Error::other).flatten().map_err(|error| unavailable(&error))
    }

    /// Fails unless a file can be written, read and deleted.
    ///
    /// # Errors
    /// [`ArtifactError::Full`], [`ArtifactError::Unavailable`].
    pub async fn ping(&self) -> Result<(), ArtifactError> {
        let (prefix, name) = (Path::from("ping"), uuid::Uuid::now_v7().to_string());
        self.put(&prefix, &name, Bytes::from_static(b"ping")).await?;
        self.get_verified(&prefix, &name, &sha256(b"ping")).await?;
        self.store.delete(&prefix.join(name)).await.map_err(|error| explain(&error))
    }
}

/// What the caller may know of an error; the log gets the rest, paths included.
fn explain(error: &object_store::Error) -> ArtifactError {
    let mut cause: Option<&dyn Error> = Some(error);
    while let Some(current) = cause {
        if let Some(error) = current.downcast_ref::<io::Error>() {
            return unavailable(error);
        }
        cause = current.source();
    }
    tracing::error!(%error, "artifact store");
    ArtifactError::Unavailable("it refuses the request".into())
}

fn unavailable(error: &io::Error) -> ArtifactError {
    tracing::error!(%error, "artifact store");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ArtifactError::Full,
        kind => ArtifactError::Unavailable(kind.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::layout;

    fn artifacts() -> (tempfile::TempDir, Artifacts) {
        let folder = tempfile::tempdir().unwrap();
        let artifacts = Artifacts::open(&folder.path().join("artifacts")).unwrap();
        (folder, artifacts)
    }

    #[tokio::test]
    async fn what_was_put_is_found_until_its_prefix_is_deleted() {
        let (_folder, artifacts) = artifacts();
        let job = uuid::Uuid::now_v7();
        for attempt in 1..=2 {
            let prefix = layout::attempt(job, attempt);
            artifacts.put(&prefix, "a.png", Bytes::from(vec![attempt as u8])).await.unwrap();
        }
        let second = layout::attempt(job, 2);
        assert_eq!(artifacts.get(&second, "a.png").await.unwrap().unwrap(), vec![2]);
        artifacts.put(&second, "a.png", Bytes::from_static(&[2])).await.unwrap();
        let changed = artifacts.put(&second, "a.png", Bytes::from_static(&[9])).await;
        assert!(matches!(changed, Err(ArtifactError::Damaged { .. })), "{changed:?}");
        assert_eq!(artifacts.get(&second, "a.png").await.unwrap().unwrap(), vec![2]);
        assert_eq!(artifacts.below(&layout::attacks(job)).await.unwrap(), ["1", "2"]);
        artifacts.delete(&layout::attempt(job, 1)).await.unwrap();
        artifacts.delete(&layout::attempt(job, 7)).await.unwrap();
        assert_eq!(artifacts.get(&layout::attempt(job, 1), "a.png").await.unwrap(), None);
        assert_eq!(artifacts.below(&layout::attacks(job)).await.unwrap(), ["2"]);
        assert!(artifacts.below(&layout::inputs(job)).await.unwrap().is_empty());
        artifacts.ping().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_with_other_bytes_is_damaged() {
        let (folder, artifacts) = artifacts();
        let prefix = layout::inputs(uuid::Uuid::now_v7());
        artifacts.put(&prefix, "image.png", Bytes::from_static(b"whole")).await.unwrap();
        artifacts.get_verified(&prefix, "image.png", &sha256(b"whole")).await.unwrap();
        std::fs::write(folder.path().join("artifacts").join(prefix.as_ref()).join("image.png"), b"hole").unwrap();
        for name in ["image.png", "absent.png"] {
            let error = artifacts.get_verified(&prefix, name, &sha256(b"whole")).await.unwrap_err();
            assert!(matches!(error, ArtifactError::Damaged { name: ref found } if found == name), "{error}");
        }
    }

    #[tokio::test]
    async fn partial_files_go_once_they_are_old() {
        let (folder, artifacts) = artifacts();
        let prefix = layout::inputs(uuid::Uuid::now_v7());
        artifacts.put(&prefix, "image.png", Bytes::new()).await.unwrap();
        let partial = folder.path().join("artifacts").join(prefix.as_ref()).join("mask.png#1");
        std::fs::write(&partial, b"ha").unwrap();
        assert_eq!(artifacts.remove_leftovers(Duration::from_secs(60)).await.unwrap(), 0);
        assert_eq!(artifacts.remove_leftovers(Duration::ZERO).await.unwrap(), 1);
        assert!(!partial.exists() && artifacts.get(&prefix, "image.png").await.unwrap().is_some());
    }

    #[test]
    fn a_full_disk_is_told_from_the_rest_and_no_path_is_told() {
        let refused = |kind| object_store::Error::Generic {
            store: "local",
            source: Box::new(io::Error::new(kind, "/secret/place")),
        };
        assert!(matches!(explain(&refused(io::ErrorKind::StorageFull)), ArtifactError::Full));
        let other = explain(&refused(io::ErrorKind::PermissionDenied)).to_string();
        assert!(other.contains("permission denied") && !other.contains("secret"), "{other}");
    }
}
