//! Where models come from: a folder that the caller names, or the demo model.
//!
//! Nothing is downloaded: this program also runs where there is no network, and an auditor wants
//! to know which bytes were tested.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use sha2::{Digest, Sha256};

use super::checkpoint::AdapterFile;
use super::clipseg::{ClipSeg, LoadError, Parts};
use super::embedded;
use super::precision::Precision;

/// The demo model's folder, next to the program or in the working directory.
const DEMO: &str = "models/demo";

/// A model that has been found but not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The demo model inside the program.
    Embedded,
    /// A folder in the layout of the HuggingFace hub.
    Folder(PathBuf),
}

/// Why there is no such model.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nothing is there.
    #[error("model folder {} does not exist: name a folder with {}", .0.display(), Parts::FILES)]
    Missing(PathBuf),
    /// A file, where a folder is needed.
    #[error("{} is a file: name the folder that holds {}", .0.display(), Parts::FILES)]
    NotFolder(PathBuf),
    /// A folder of something else.
    #[error("{} has no config.json: a model folder holds {}", .0.display(), Parts::FILES)]
    NoConfig(PathBuf),
    /// An address instead of a folder.
    #[error(
        "{address}: this program downloads nothing: on a connected machine get {} of {repository} \
             from the Hugging Face hub, copy them into one folder here, and name that folder",
        Parts::FILES
    )]
    Download { address: String, repository: String },
    /// The folder of models cannot be listed.
    #[error("cannot list {}: {source}", path.display())]
    List { path: PathBuf, source: std::io::Error },
}

impl Source {
    /// Finds the model that a person named.
    ///
    /// Without a name it is the demo model: the folder `models/demo` next to the program, else the
    /// one in the working directory, else the one inside the program.
    ///
    /// # Errors
    /// A name that is not that of a model folder; the message says what is missing.
    pub fn resolve(model: Option<&str>) -> Result<Self, RegistryError> {
        let Some(name) = model else {
            return Ok(Self::demo());
        };
        if let Some(repository) = name.strip_prefix("hf://") {
            return Err(RegistryError::Download { address: name.into(), repository: repository.into() });
        }
        let folder = PathBuf::from(name);
        if !folder.exists() {
            return Err(RegistryError::Missing(folder));
        }
        if !folder.is_dir() {
            return Err(RegistryError::NotFolder(folder));
        }
        if !folder.join("config.json").exists() {
            return Err(RegistryError::NoConfig(folder));
        }
        Ok(Self::Folder(folder))
    }

    fn demo() -> Self {
        let program = std::env::current_exe().ok();
        let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join(DEMO));
        let found = beside.into_iter().chain([PathBuf::from(DEMO)]).find(|folder| is_model(folder));
        found.map_or(Self::Embedded, Self::Folder)
    }

    /// The demo model, then the model folders below `root` (usually `models`) by name.
    ///
    /// # Errors
    /// [`RegistryError::List`]; a `root` that does not exist holds no model.
    pub fn list(root: &Path) -> Result<Vec<Self>, RegistryError> {
        let failed = |source| RegistryError::List { path: root.into(), source };
        let entries = match std::fs::read_dir(root) {
            Ok(entries) => entries.collect::<Result<Vec<_>, _>>().map_err(failed)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(error)),
        };
        let demo = Self::demo();
        let mut folders: Vec<PathBuf> = entries
            .into_iter()
            .map(|entry| entry.path())
            .filter(|folder| folder.join("config.json").exists() && !demo.is_at(folder))
            .collect();
        folders.sort();
        Ok(std::iter::once(demo).chain(folders.into_iter().map(Self::Folder)).collect())
    }

    fn is_at(&self, place: &Path) -> bool {
        match self {
            Self::Embedded => false,
            Self::Folder(folder) => folder.canonicalize().is_ok_and(|own| place.canonicalize().is_ok_and(|p| p == own)),
        }
    }

    /// Reads the files of the model.
    pub(super) fn parts(&self) -> Result<Parts, LoadError> {
        match self {
            Self::Embedded => embedded::parts(),
            Self::Folder(folder) => Parts::read(folder),
        }
    }

    /// Loads the model, with the adapters of a file if one is named.
    ///
    /// # Errors
    /// A missing, damaged or unfitting file; the message names file, key or tensor.
    pub fn open(&self, adapter: Option<&Path>, device: &Device, dtype: DType) -> Result<ClipSeg, LoadError> {
        let adapter = adapter.map(AdapterFile::open).transpose()?;
        ClipSeg::assemble(self.parts()?, adapter, device, dtype)
    }

    /// [`Self::open`] for attacks: scores in f32, steps in `precision`.
    ///
    /// # Errors
    /// As [`Self::open`], and a precision that the device does not have.
    pub fn open_for_steps(
        &self,
        adapter: Option<&Path>,
        device: &Device,
        precision: Precision,
    ) -> Result<ClipSeg, LoadError> {
        let open = |dtype| self.open(adapter, device, dtype);
        open(DType::F32)?.stepping_in(precision, open)
    }

    /// SHA-256 of the weights file, in lower-case hexadecimal: what a manifest records.
    ///
    /// # Errors
    /// A folder without a weights file, or one that cannot be read.
    pub fn weights_sha256(&self) -> Result<String, LoadError> {
        match self {
            Self::Embedded => Ok(hex(&Sha256::digest(embedded::WEIGHTS))),
            Self::Folder(folder) => file_sha256(&Parts::weights_file(folder)?),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
            Self::Folder(folder) => folder.display().fmt(f),
        }
    }
}

/// Whether a folder holds a model's configuration and its weights.
fn is_model(folder: &Path) -> bool {
    folder.join("config.json").exists() && Parts::weights_file(folder).is_ok()
}

/// SHA-256 of a file in lower-case hexadecimal; the file is never in memory as a whole.
///
/// # Errors
/// A file that cannot be read.
pub fn file_sha256(path: &Path) -> Result<String, LoadError> {
    let failed = |source| LoadError::Read { path: path.into(), source };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_folder_is_named_with_what_it_lacks() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let (absent, file) = (dir.path().join("absent"), dir.path().join("file"));
        std::fs::write(&file, "x")?;
        for (path, wanted) in [(absent.as_path(), "does not exist"), (&file, "is a file"), (dir.path(), "config.json")]
        {
            let message = Source::resolve(path.to_str()).expect_err(wanted).to_string();
            assert!(message.contains(wanted) && message.contains(&path.display().to_string()), "{message}");
            assert!(message.contains("model.safetensors"), "{message}");
        }
        std::fs::write(dir.path().join("config.json"), "{}")?;
        let found = Source::resolve(dir.path().to_str()).expect("a folder with config.json");
        assert_eq!(found, Source::Folder(dir.path().into()));
        let message = found.weights_sha256().expect_err("no weights").to_string();
        assert!(message.contains("model.safetensors"), "{message}");
        Ok(())
    }

    #[test]
    fn an_address_is_answered_with_how_to_do_without_the_network() {
        let message = Source::resolve(Some("hf://CIDAS/clipseg-rd64-refined")).expect_err("hf").to_string();
        assert!(message.contains("downloads nothing") && message.contains(" CIDAS/clipseg-rd64-refined"), "{message}");
    }

    #[test]
    fn folders_below_the_root_are_listed_after_the_demo_model() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        for name in ["b", "a", "no-model"] {
            std::fs::create_dir(dir.path().join(name))?;
        }
        for name in ["a", "b"] {
            std::fs::write(dir.path().join(name).join("config.json"), "{}")?;
        }
        let listed = Source::list(dir.path())?;
        assert_eq!(listed[1..], ["a", "b"].map(|name| Source::Folder(dir.path().join(name))));
        assert_eq!(Source::list(&dir.path().join("absent"))?.len(), 1);
        Ok(())
    }

    #[test]
    fn the_embedded_model_opens() -> Result<(), LoadError> {
        use crate::model::SegmentationModel;
        let model = Source::Embedded.open(None, &Device::Cpu, DType::F32)?;
        assert_eq!(model.name(), "demo");
        Ok(())
    }

    #[test]
    fn the_weights_are_known_by_their_bytes() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        // Longer than the buffer; the expected value is that of `sha256sum`.
        std::fs::write(dir.path().join("model.safetensors"), vec![b'a'; 1_000_000])?;
        assert_eq!(
            Source::Folder(dir.path().into()).weights_sha256()?,
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
        Ok(())
    }
}
