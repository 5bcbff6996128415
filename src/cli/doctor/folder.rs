//! The service's folder: can it be written, is there room, whose is it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::report::Finding::{self, Fail, Fine, Warn};
use crate::config::StorageConfig;

/// Bytes below which a word about room is due.
const ROOM: u64 = 5 << 30;
const GIB: f64 = (1u64 << 30) as f64;

/// Looks at the folder, and at the one of the files in it if they are not in a bucket.
pub(super) fn examine(storage: &StorageConfig) -> Vec<(&'static str, Finding)> {
    let (folder, files) = (&storage.folder, storage.folder.join("artifacts"));
    let place = match place(folder) {
        Ok(place) => place,
        Err(finding) => return vec![("folder", finding)],
    };
    let probe = match Probe::write(&place) {
        Ok(probe) => probe,
        Err(error) => return vec![("folder", unwritable(&place, &error))],
    };
    let mut findings = vec![("folder", written(folder, &place))];
    if storage.bucket().is_none() && files.exists() {
        match Probe::write(&files) {
            Ok(_) => findings.push(("files", Fine(format!("{} can be written", files.display())))),
            Err(error) => findings.push(("files", unwritable(&files, &error))),
        }
    }
    #[cfg(unix)]
    findings.extend(unix::examine(&place, &probe, *folder == place));
    drop(probe);
    findings
}

/// The folder, or the nearest one above it that exists, in which the service would make it.
fn place(folder: &Path) -> Result<PathBuf, Finding> {
    let existing = folder.ancestors().find(|place| place.exists() || place.as_os_str().is_empty());
    let place = match existing {
        Some(place) if !place.as_os_str().is_empty() => place,
        _ => Path::new("."),
    };
    match place.is_dir() {
        true => Ok(place.into()),
        false => Err(Fail(format!(
            "{} cannot be made, because {} is a file: name another folder in storage.folder",
            folder.display(),
            place.display()
        ))),
    }
}

fn written(folder: &Path, place: &Path) -> Finding {
    let name = folder.display();
    match folder == place {
        true => Fine(format!("{name} can be written")),
        false => Warn(format!(
            "{name} does not exist: the service makes it; if there should be data, correct storage.folder or mount its disk"
        )),
    }
}

fn unwritable(place: &Path, error: &std::io::Error) -> Finding {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on its disk".to_owned(),
        ErrorKind::ReadOnlyFilesystem => {
            "mount its disk for writing, or name another folder in storage.folder".to_owned()
        }
        _ => owner(place).map_or_else(
            || "let the service's user write there".to_owned(),
            |owner| {
                format!(
                    "it belongs to user {owner}: run as that user, or give the folder to the service's user (chown)"
                )
            },
        ),
    };
    Fail(format!("{} cannot be written ({error}): {advice}", place.display()))
}

#[cfg(unix)]
fn owner(place: &Path) -> Option<u32> {
    fs::metadata(place).ok().map(|found| std::os::unix::fs::MetadataExt::uid(&found))
}

#[cfg(not(unix))]
fn owner(_: &Path) -> Option<u32> {
    None
}

/// A file that is there for a moment.
#[derive(Debug)]
struct Probe(PathBuf);

impl Probe {
    fn write(folder: &Path) -> std::io::Result<Self> {
        let probe = Self(folder.join(format!(".segprobe-doctor-{}", std::process::id())));
        fs::write(&probe.0, b"doctor")?;
        Ok(probe)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0)
            && error.kind() != ErrorKind::NotFound
        {
            eprintln!("{} could not be removed ({error}): delete it", self.0.display());
        }
    }
}

/// What only Unix knows of a folder.
#[cfg(unix)]
mod unix {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    pub(super) fn examine(place: &Path, probe: &Probe, is_ours: bool) -> Vec<(&'static str, Finding)> {
        let mut findings = vec![("room", room(place))];
        if let (Ok(folder), Ok(file)) = (fs::metadata(place), fs::metadata(&probe.0)) {
            let found = is_ours.then_some((folder.uid(), folder.mode()));
            // who writes a file owns it
            findings.push(("user", user(found, file.uid())));
        }
        findings
    }

    fn room(place: &Path) -> Finding {
        match rustix::fs::statvfs(place) {
            Ok(found) => judge(found.f_bavail.saturating_mul(found.f_frsize)),
            Err(error) => {
                Warn(format!("the free space of {} is unknown ({error}): look at it with df", place.display()))
            }
        }
    }

    pub(super) fn judge(bytes: u64) -> Finding {
        let text = format!("{:.1} GiB are free", bytes as f64 / GIB);
        match bytes < ROOM {
            true => Warn(format!("{text}: make room, or shorten queue.keep_days; a full disk refuses jobs")),
            false => Fine(text),
        }
    }

    /// `folder` is owner and mode of the service's folder, if it is there; `user` is who we are.
    pub(super) fn user(folder: Option<(u32, u32)>, user: u32) -> Finding {
        match folder {
            // a volume that an orchestrator mounted for us
            Some((0, _)) if user != 0 => Fine(format!("user {user}, in a folder of root")),
            Some((owner, _)) if owner != user => Warn(format!(
                "this is user {user} and the folder belongs to user {owner}: files that this one makes may be closed to \
                 that one; run as user {owner}"
            )),
            _ if user == 0 => {
                Warn("this is root: give the service a user of its own, and the folder to that user".into())
            }
            Some((_, mode)) if mode & 0o007 != 0 => {
                Warn("other users of this machine can look into the folder: close it with chmod o-rwx".into())
            }
            _ => Fine(format!("user {user}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(folder: PathBuf) -> StorageConfig {
        StorageConfig { folder, ..StorageConfig::default() }
    }

    fn entries(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_folder_that_can_be_written_is_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("artifacts")).unwrap();
        let findings = examine(&storage(folder.path().into()));
        assert!(matches!(&findings[..2], [("folder", Fine(_)), ("files", Fine(_)), ..]), "{findings:?}");
        assert_eq!((entries(folder.path()), entries(&folder.path().join("artifacts"))), (1, 0));
    }

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let findings = examine(&storage(folder.path().join("a/b")));
        assert!(matches!(&findings[0], ("folder", Warn(text)) if text.contains("does not exist")), "{findings:?}");
        assert_eq!(entries(folder.path()), 0);
    }

    #[test]
    fn a_folder_that_can_never_be_made_fails_with_the_reason() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for folder in [file.path().into(), file.path().join("data")] {
            let findings = examine(&storage(folder));
            assert!(matches!(&findings[..], [("folder", Fail(text))] if text.contains("is a file")), "{findings:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_nobody_can_write_names_its_owner() {
        let findings = examine(&storage("/proc".into()));
        let [("folder", Fail(text))] = &findings[..] else { panic!("{findings:?}") };
        assert!(text.contains("belongs to user 0"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn little_room_and_a_strange_user_are_told() {
        assert!(matches!(unix::judge(ROOM), Fine(text) if text == "5.0 GiB are free"));
        assert!(matches!(unix::judge(ROOM - 1), Warn(text) if text.contains("keep_days")));
        assert!(matches!(unix::user(Some((1000, 0o700)), 1000), Fine(_)));
        assert!(matches!(unix::user(Some((1000, 0o755)), 1000), Warn(text) if text.contains("chmod")));
        assert!(matches!(unix::user(Some((1000, 0o700)), 0), Warn(text) if text.contains("belongs to user 1000")));
        assert!(matches!(unix::user(Some((0, 0o2777)), 10001), Fine(text) if text.contains("folder of root")));
        assert!(matches!(unix::user(Some((0, 0o700)), 0), Warn(text) if text.contains("root")));
        assert!(matches!(unix::user(None, 0), Warn(text) if text.contains("root")));
    }
}
