//! What can go wrong with a weights file.

use std::path::{Path, PathBuf};

/// A weights file could not be read, does not fit the model, or could not be written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file could not be read.
    #[error("cannot read weights {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file could not be written.
    #[error("cannot write weights {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// The file is not, or no longer, a weights file that can be read.
    #[error("{}: {reason}", path.display())]
    Format { path: PathBuf, reason: String },
    /// A tensor of the file cannot be used.
    #[error("{}: tensor {name:?} {reason}", path.display())]
    Tensor { path: PathBuf, name: String, reason: String },
    /// The model needs a tensor that the file does not have.
    #[error("{}: tensor {name:?} of shape {wanted:?} is missing", path.display())]
    Missing { path: PathBuf, name: String, wanted: Vec<usize> },
    /// A tensor has another shape than the model needs.
    #[error("{}: tensor {name:?} has shape {found:?} instead of {wanted:?}", path.display())]
    Shape { path: PathBuf, name: String, wanted: Vec<usize>, found: Vec<usize> },
    /// A tensor operation failed.
    #[error(transparent)]
    Operation(#[from] candle_core::Error),
    /// The file has tensors that the model does not know.
    #[error("{}: {count} unexpected tensor(s), is it a checkpoint of another model? {}", path.display(), first.join(", "))]
    Extra { path: PathBuf, count: usize, first: Vec<String> },
}

impl CheckpointError {
    pub(super) fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(super) fn tensor(path: &Path, name: &str, reason: impl ToString) -> Self {
        Self::Tensor { path: path.to_owned(), name: name.to_owned(), reason: reason.to_string() }
    }

    /// Names the first few of the tensors nobody asked for.
    pub(super) fn extra<'a>(path: &Path, names: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<_> = names.map(str::to_owned).collect();
        Self::Extra { path: path.to_owned(), count: names.len(), first: names.into_iter().take(5).collect() }
    }
}
