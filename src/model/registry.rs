//! Where models come from: a folder that the caller names, or the demo model.
//!
//! Nothing is downloaded: this program also runs where there is no network, and an auditor wants
//! to know which bytes were tested.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use sha2::{Digest, Sha256};

use super::clipseg::{ClipSeg, LoadError, Parts};

/// The demo model's folder, next to the program or in the working directory.
const DEMO: &str = "models/demo";

/// A model that has been found but not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
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
    /// There is no demo model.
    #[error("found no demo model in {DEMO}: name a model folder")]
    NoDemo,
}

impl Source {
    /// Finds the model that a person named.
    ///
    /// Without a name it is the demo model: the folder `models/demo` next to the program, or else
    /// the one in the working directory.
    ///
    /// # Errors
    /// A name that is not that of a model folder; the message says what is missing.
    pub fn resolve(model: Option<&str>) -> Result<Self, RegistryError> {
        let Some(name) = model else {
            return Self::demo().ok_or(RegistryError::NoDemo);
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

    fn demo() -> Option<Self> {
        let program = std::env::current_exe().ok();
        let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join(DEMO));
        beside.into_iter().chain([PathBuf::from(DEMO)]).find(|folder| is_model(folder)).map(Self::Folder)
    }

    /// Loads the model, with the adapters of a file if one is named.
    ///
    /// # Errors
    /// A missing, damaged or unfitting file; the message names file, key or tensor.
    pub fn open(&self, adapter: Option<&Path>, device: &Device, dtype: DType) -> Result<ClipSeg, LoadError> {
        match self {
            Self::Folder(folder) => ClipSeg::open(folder, adapter, device, dtype),
        }
    }

    /// SHA-256 of the weights file, in lower-case hexadecimal: what a manifest records.
    ///
    /// # Errors
    /// A folder without a weights file, or one that cannot be read.
    pub fn weights_sha256(&self) -> Result<String, LoadError> {
        match self {
            Self::Folder(folder) => file_sha256(&Parts::weights_file(folder)?),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
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
