//! Training data: folders with `images/`, `masks/` and `prompts.json`.
//!
//! `prompts.json` maps an image's file name to the name of its structure, or to a list of
//! phrasings. The validation share is chosen by a hash of the subject, so that frames of one
//! patient never stand on both sides.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::TrainError;
use crate::imaging::decode::{self, Limits};
use crate::imaging::{Image, ImagingError, Mask};
use crate::model::resize_image;

/// Side of the squares that images are kept at in memory, in pixels.
pub const KEPT: usize = 256;

/// One image with its mask, squashed to a square of [`KEPT`] pixels.
#[derive(Debug, Clone)]
pub struct Sample {
    /// File name of the image.
    pub name: String,
    /// Interleaved RGB, `KEPT * KEPT * 3`.
    pub rgb: Vec<u8>,
    /// `KEPT * KEPT` of 0 and 1.
    pub mask: Vec<u8>,
    /// Name of the structure.
    pub structure: String,
}

/// The samples of one folder.
#[derive(Debug, Clone)]
pub struct DataSet {
    /// The folder's name.
    pub name: String,
    pub training: Vec<Sample>,
    pub validation: Vec<Sample>,
}

/// One entry of a folder, not yet decoded.
#[derive(Debug, Clone)]
pub struct Entry {
    pub image: PathBuf,
    pub mask: PathBuf,
    /// Name of the structure, the first phrasing if the file lists several.
    pub prompt: String,
    /// Whether the entry's subject belongs to the validation share.
    pub validation: bool,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    One(String),
    Several(Vec<String>),
}

/// The entries of a folder in the order of file names.
///
/// # Errors
/// A missing or damaged `prompts.json`, an image without a mask, no image at all.
pub fn list(folder: &Path, validation_share: f64) -> Result<Vec<Entry>, TrainError> {
    let path = folder.join("prompts.json");
    let text = std::fs::read_to_string(&path).map_err(|source| TrainError::Read { path: path.clone(), source })?;
    let prompts: BTreeMap<String, Prompt> =
        serde_json::from_str(&text).map_err(|source| TrainError::Json { path: path.clone(), source })?;
    let set = folder_name(folder);
    let mut entries = Vec::new();
    for (name, prompt) in prompts {
        let prompt = match prompt {
            Prompt::One(prompt) => Some(prompt),
            Prompt::Several(list) => list.into_iter().next(),
        };
        let prompt = prompt.filter(|p| !p.trim().is_empty());
        let prompt =
            prompt.ok_or_else(|| TrainError::Data { path: path.clone(), reason: format!("{name}: no prompt") })?;
        let image = folder.join("images").join(&name);
        let mask = folder.join("masks").join(Path::new(&name).with_extension("png"));
        if let Some(absent) = [&image, &mask].into_iter().find(|p| !p.exists()) {
            return Err(TrainError::Data { path: absent.clone(), reason: "listed in prompts.json but absent".into() });
        }
        let validation = share(&set, subject(&name)) < validation_share;
        entries.push(Entry { image, mask, prompt, validation });
    }
    if entries.is_empty() {
        return Err(TrainError::Data { path, reason: "lists no image".into() });
    }
    Ok(entries)
}

/// Reads and decodes a folder.
///
/// # Errors
/// As [`list`], and an image or mask that cannot be decoded.
pub fn read(folder: &Path, validation_share: f64) -> Result<DataSet, TrainError> {
    let samples = list(folder, validation_share)?
        .into_par_iter()
        .map(|entry| Ok((entry.validation, load(entry)?)))
        .collect::<Result<Vec<_>, TrainError>>()?;
    let side = |wanted: bool| samples.iter().filter(|(v, _)| *v == wanted).map(|(_, s)| s.clone()).collect();
    Ok(DataSet { name: folder_name(folder), training: side(false), validation: side(true) })
}

fn load(entry: Entry) -> Result<Sample, TrainError> {
    let image = decode::open(&entry.image, &Limits::default())?.image;
    let mask = decode::open_mask(&entry.mask, &Limits::default())?;
    mask.check_fits(&image)?;
    let name = entry.image.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
    Ok(sample(name, &image, &mask, entry.prompt)?)
}

/// Squashes an image and its mask to the size that training keeps.
fn sample(name: String, image: &Image, mask: &Mask, structure: String) -> Result<Sample, ImagingError> {
    let rgb = resize_image(image, (KEPT, KEPT))?;
    let mask = mask.resize(KEPT, KEPT).bits().iter().map(|b| u8::from(*b)).collect();
    Ok(Sample { name, rgb: rgb.rgb().to_vec(), mask, structure })
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// The part of a file name that names the subject: up to its first run of two or more digits
/// (`010_2HC` and `010_HC` are one subject), else the whole stem.
fn subject(name: &str) -> &str {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut run = 0;
    for (i, c) in stem.char_indices() {
        if c.is_ascii_digit() {
            run += 1;
        } else if run >= 2 {
            return &stem[..i];
        } else {
            run = 0;
        }
    }
    stem
}

/// A number in [0, 1) that depends on the set and the subject alone.
fn share(set: &str, subject: &str) -> f64 {
    let hash = Sha256::digest(format!("{set}/{subject}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    (u64::from_le_bytes(first) >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_one_subject_share_a_name() {
        for (name, wanted) in [
            ("010_2HC.jpg", "010"),
            ("010_HC.jpg", "010"),
            ("benign_0847-s.jpg", "benign_0847"),
            ("Image_02L.jpg", "Image_02"),
            ("cju0qkwl35piu0993l0dewei2.jpg", "cju0qkwl35"),
            ("polyp.png", "polyp"),
        ] {
            assert_eq!(subject(name), wanted);
        }
    }

    #[test]
    fn the_split_has_about_the_wanted_share_and_never_changes() {
        let shares: Vec<f64> = (0..2000).map(|i| share("set", &i.to_string())).collect();
        let validation = shares.iter().filter(|s| **s < 0.15).count();
        assert!((250..350).contains(&validation), "{validation} of 2000");
        assert_eq!(share("kvasir", "010"), share("kvasir", "010"));
    }

    #[test]
    fn a_folder_that_lacks_something_says_what() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        assert!(list(dir.path(), 0.1).expect_err("no file").to_string().contains("prompts.json"));
        std::fs::write(dir.path().join("prompts.json"), r#"{"a.png": "polyp"}"#)?;
        assert!(list(dir.path(), 0.1).expect_err("no image").to_string().contains("a.png"));
        std::fs::write(dir.path().join("prompts.json"), r#"{"a.png": " "}"#)?;
        assert!(list(dir.path(), 0.1).expect_err("no prompt").to_string().contains("no prompt"));
        Ok(())
    }
}
