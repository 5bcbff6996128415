//! The folder of everything that is kept, used by one server at a time.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::access::audit::AuditLog;

/// The data folder, locked as long as this lives.
#[derive(Debug)]
pub(super) struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder for its owner only if it is absent, and locks it. The operating system unlocks it when the
    /// process ends, however it does.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path).with_context(|| format!("storage.folder: cannot make {name}"))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let lock = options.open(path.join("segprobe.lock"));
        let lock = lock.with_context(|| format!("storage.folder: cannot write in {name}"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                bail!("another segprobe server uses {name}: stop it, or choose another folder with --data")
            }
            Err(TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("storage.folder: cannot lock {name}; use a local disk"))
            }
        }
    }

    /// Opens the audit log.
    pub fn audit_log(&self) -> Result<Arc<AuditLog>> {
        let path = self.path.join("audit.jsonl");
        let log = AuditLog::open(&path).with_context(|| format!("cannot write the audit log {}", path.display()))?;
        Ok(Arc::new(log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_servers_never_share_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let first = DataFolder::open(&path).unwrap();
        let refused = DataFolder::open(&path).unwrap_err().to_string();
        assert!(refused.contains(path.to_str().unwrap()) && refused.contains("--data"), "{refused}");
        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_look_into_a_new_folder() {
        use std::os::unix::fs::PermissionsExt;
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let _folder = DataFolder::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_in_the_way_is_an_error_that_names_the_setting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = DataFolder::open(file.path()).unwrap_err().to_string();
        assert!(refused.starts_with("storage.folder: cannot"), "{refused}");
    }
}
