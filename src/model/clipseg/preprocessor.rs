//! `preprocessor_config.json` as published on the HuggingFace hub.

use std::path::Path;

use serde::Deserialize;

use super::LoadError;
use crate::model::Preprocess;

#[derive(Deserialize)]
#[serde(untagged)]
enum Size {
    Square(usize),
    Sides { height: usize, width: usize },
}

#[derive(Deserialize)]
struct PreprocessorFile {
    #[serde(default)]
    size: Option<Size>,
    #[serde(default)]
    image_mean: Option<[f32; 3]>,
    #[serde(default)]
    image_std: Option<[f32; 3]>,
    #[serde(default)]
    resample: Option<u32>,
}

/// PIL's number for its bilinear filter.
const BILINEAR: u32 = 2;

/// Parses `preprocessor_config.json`; absent keys take CLIPSeg's published values.
///
/// # Errors
/// Another filter than bilinear, or a size that the patches do not divide into a square.
pub fn parse_preprocessor(text: &str, path: &Path, patch_size: usize) -> Result<Preprocess, LoadError> {
    let wrong = |key, reason: String| LoadError::Config { path: path.into(), key, reason };
    let file: PreprocessorFile =
        serde_json::from_str(text).map_err(|e| LoadError::Json { path: path.into(), source: e })?;
    let (height, width) = match file.size {
        Some(Size::Square(side)) => (side, side),
        Some(Size::Sides { height, width }) => (height, width),
        None => (352, 352),
    };
    if height != width || height == 0 || height % patch_size != 0 {
        return Err(wrong("size", format!("{height}x{width} is not a square that patches of {patch_size} divide")));
    }
    if let Some(filter) = file.resample
        && filter != BILINEAR
    {
        return Err(wrong("resample", format!("filter {filter}: only 2 (bilinear) is supported")));
    }
    let std = file.image_std.unwrap_or([0.229, 0.224, 0.225]);
    if std.iter().any(|s| !s.is_finite() || *s <= 0.) {
        return Err(wrong("image_std", "must be positive".into()));
    }
    Ok(Preprocess { height, width, mean: file.image_mean.unwrap_or([0.485, 0.456, 0.406]), std })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preprocessor_takes_both_forms_of_size() -> Result<(), LoadError> {
        let path = Path::new("preprocessor_config.json");
        assert_eq!(parse_preprocessor(r#"{"size": 64}"#, path, 16)?.height, 64);
        assert_eq!(parse_preprocessor(r#"{"size": {"height": 96, "width": 96}}"#, path, 16)?.width, 96);
        assert_eq!(parse_preprocessor("{}", path, 16)?.height, 352);
        for wrong in [r#"{"size": 65}"#, r#"{"resample": 3}"#, r#"{"image_std": [0, 1, 1]}"#, "{"] {
            assert!(parse_preprocessor(wrong, path, 16).is_err(), "{wrong}");
        }
        Ok(())
    }
}
