//! The images of a data set that a command works on.

use std::path::Path;

use anyhow::Result;

use crate::evaluation::Case;
use crate::train::data;

/// Which side of the split by subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Every image.
    Both,
    /// Those that a model may be trained on.
    Training,
    /// Those that training keeps for validation.
    HeldOut,
}

/// At most `limit` images of a folder, evenly spread over its file names.
///
/// # Errors
/// A folder that cannot be used.
pub fn list(folder: &Path, side: Side, validation_share: f64, limit: Option<usize>) -> Result<Vec<Case>> {
    let set = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
    let set = set.unwrap_or_else(|| folder.display().to_string());
    let wanted = |validation: bool| match side {
        Side::Both => true,
        Side::Training => !validation,
        Side::HeldOut => validation,
    };
    let mut entries = data::list(folder, validation_share)?;
    entries.retain(|entry| wanted(entry.validation));
    let kept = limit.unwrap_or(entries.len()).min(entries.len());
    let spread = (0..kept).map(|i| &entries[i * entries.len() / kept]);
    Ok(spread
        .map(|entry| Case {
            set: set.clone(),
            name: entry.image.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            image: entry.image.clone(),
            mask: entry.mask.clone(),
            prompt: entry.prompt.clone(),
        })
        .collect())
}
