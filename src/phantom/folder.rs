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
        sample(Kind::Endoscopy, 8, 352, 288),
        sample(Kind::Dermoscopy, 10, 384, 288),
        sample(Kind::Ultrasound, 16, 400, 270),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_holds_images_masks_and_prompts() {
        let dir = tempfile::tempdir().unwrap();
        write_folder(Kind::Dermoscopy, dir.path(), 3..5, (40, 30)).unwrap();
        let prompts = std::fs::read_to_string(dir.path().join("prompts.json")).unwrap();
        let prompts: BTreeMap<String, String> = serde_json::from_str(&prompts).unwrap();
        assert_eq!(prompts.keys().collect::<Vec<_>>(), ["dermoscopy-0003.png", "dermoscopy-0004.png"]);
        assert!(prompts.values().all(|p| p == "skin lesion"));
        let (image, mask) = draw(Kind::Dermoscopy, 4, 40, 30);
        let read = |folder: &str| image::open(dir.path().join(folder).join("dermoscopy-0004.png")).unwrap();
        assert_eq!(read("images").to_rgb8().as_raw(), image.rgb());
        assert_eq!(read("masks").to_luma8().iter().map(|v| *v == 255).collect::<Vec<_>>(), mask.bits());
    }

    #[test]
    fn the_committed_samples_are_what_this_code_draws() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let prompts = std::fs::read_to_string(dir.join("prompts.json")).unwrap();
        let prompts: BTreeMap<String, String> = serde_json::from_str(&prompts).unwrap();
        assert_eq!(prompts.len(), samples().len());
        for Sample { name, kind, seed, width, height } in samples() {
            let file = format!("{name}.png");
            assert_eq!(prompts[&file], kind.prompt());
            let (image, mask) = draw(kind, seed, width, height);
            let kept = image::open(dir.join("images").join(&file)).unwrap().to_rgb8();
            assert_eq!((kept.width() as usize, kept.height() as usize), (width, height), "{name}");
            let apart = kept.as_raw().iter().zip(image.rgb()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(apart <= Some(1), "{name} differs by {apart:?} levels");
            let kept = image::open(dir.join("masks").join(&file)).unwrap().to_luma8();
            assert_eq!(kept.iter().map(|v| *v > 127).collect::<Vec<_>>(), mask.bits(), "{name}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("taken");
        std::fs::write(&file, "").unwrap();
        let error = write_folder(Kind::Xray, &file, 0..1, (8, 8)).unwrap_err().to_string();
        assert!(error.starts_with("cannot create folder") && error.contains("taken"), "{error}");
    }
}
