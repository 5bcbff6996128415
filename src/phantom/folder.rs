//! Phantoms as files: a folder of images, masks and prompts.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{Kind, draw};
use crate::imaging::{ImagingError, encode};

/// Why a folder of phantoms could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PhantomError {
    /// A folder could not be made.
    #[error("cannot create folder {}: {source}", path.display())]
    Folder { path: PathBuf, source: std::io::Error },
    /// A picture could not be written.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
}

/// What one file of a folder shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// File name without `.png`.
    pub name: String,
    /// What it imitates.
    pub kind: Kind,
    /// Which one of its kind.
    pub seed: u64,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
}

/// The samples that are kept in the folder `samples` of the source tree, one of each kind.
pub fn samples() -> Vec<Sample> {
    let sample =
        |kind: Kind, seed, width, height| Sample { name: kind.prompt().replace(' ', "-"), kind, seed, width, height };
    vec![
        sample(Kind::Endoscopy, 1, 352, 288),
        sample(Kind::Dermoscopy, 1, 384, 288),
        sample(Kind::Ultrasound, 1, 400, 270),
        sample(Kind::Xray, 1, 360, 320),
    ]
}

/// Writes `images/NAME.png`, `masks/NAME.png` and `prompts.json`, which maps `NAME.png` to its prompt.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn write_samples(dir: &Path, samples: &[Sample]) -> Result<(), PhantomError> {
    let (images, masks) = (dir.join("images"), dir.join("masks"));
    for path in [&images, &masks] {
        std::fs::create_dir_all(path).map_err(|source| PhantomError::Folder { path: path.clone(), source })?;
    }
    let mut prompts = BTreeMap::new();
    for sample in samples {
        let (image, mask) = draw(sample.kind, sample.seed, sample.width, sample.height);
        let file = format!("{}.png", sample.name);
        encode::write(&images.join(&file), &encode::png(&image)?)?;
        encode::write(&masks.join(&file), &encode::mask_png(&mask)?)?;
        prompts.insert(file, sample.kind.prompt());
    }
    let list = serde_json::to_string_pretty(&prompts).expect("a map of strings is valid JSON");
    Ok(encode::write(&dir.join("prompts.json"), format!("{list}\n").as_bytes())?)
}

/// Writes one phantom for every seed, `(width, height)` pixels, in the layout of [`write_samples`].
///
/// # Errors
/// A folder or file that cannot be written.
pub fn write_folder(
    kind: Kind,
    dir: &Path,
    seeds: Range<u64>,
    (width, height): (usize, usize),
) -> Result<(), PhantomError> {
    let sample = |seed| Sample { name: format!("{}-{seed:04}", kind.name()), kind, seed, width, height };
    write_samples(dir, &seeds.map(sample).collect::<Vec<_>>())
}
