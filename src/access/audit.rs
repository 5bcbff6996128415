//! Who did what, one JSON line each: the answer to "who attacked which image, who fetched the result".
//!
//! Lines name pictures by the SHA-256 of their bytes. They never hold pixels, prompts, labels, keys or addresses with a
//! query.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// What a handler knows of a request beyond its address. Put it into the extensions of the answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditRecord {
    /// The job that was made or concerned, if it is not the `{id}` of the address.
    pub job: Option<String>,
    /// SHA-256 of the submitted files by role (`image`, `mask`, ...), in lower-case hexadecimal.
    pub inputs: BTreeMap<String, String>,
}

/// A line of the audit log.
#[derive(Debug, Clone, Serialize)]
pub struct AuditLine {
    /// When the answer began.
    pub time: DateTime<Utc>,
    /// The answer's `X-Request-Id`.
    pub request_id: String,
    /// Whose jobs it was about.
    pub caller: String,
    /// The key's public name, or the caller again if it is a token's subject.
    pub key: Option<String>,
    /// Method and route: `POST /attacks/{id}/cancel`.
    pub action: String,
    /// The job concerned.
    pub job: Option<String>,
    /// The file that was fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// SHA-256 of the submitted files by role.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, String>,
    /// The answer's status; 499 if the client left before it, in which case the action may have happened.
    pub status: u16,
}

/// The file that lines are appended to.
#[derive(Debug)]
pub struct AuditLog {
    file: Mutex<File>,
}

impl AuditLog {
    /// Opens the log, or makes one that only its owner can read.
    ///
    /// # Errors
    /// A file that cannot be made or written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self { file: Mutex::new(options.open(path)?) })
    }

    /// Appends a line, whole or with an error.
    ///
    /// # Errors
    /// What the operating system says: a full disk, for example.
    pub fn append(&self, line: &AuditLine) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(line)?;
        bytes.push(b'\n');
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&bytes)
    }

    /// Waits until all lines are on the disk.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn flush(&self) -> io::Result<()> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(action: &str) -> AuditLine {
        AuditLine {
            time: DateTime::UNIX_EPOCH,
            request_id: "r".into(),
            caller: "local".into(),
            key: None,
            action: action.into(),
            job: None,
            file: None,
            inputs: BTreeMap::new(),
            status: 202,
        }
    }

    #[test]
    fn lines_are_appended_to_those_of_earlier_runs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        for action in ["POST /attacks", "DELETE /attacks/{id}"] {
            AuditLog::open(&path).unwrap().append(&line(action)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        let expected = r#"{"time":"1970-01-01T00:00:00Z","request_id":"r","caller":"local","key":null,"#;
        assert!(text.starts_with(expected), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_log() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        AuditLog::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
