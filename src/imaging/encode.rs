//! Writing pictures: PNG, without loss.

use std::io::Cursor;
use std::path::Path;

use image::{ExtendedColorType, ImageEncoder, codecs::png};

use super::{Image, ImagingError, Mask};

/// The image as an 8-bit RGB PNG.
///
/// # Errors
/// [`ImagingError::Encode`] if a side is longer than PNG allows.
pub fn png(image: &Image) -> Result<Vec<u8>, ImagingError> {
    encode_png(image.rgb(), (image.width(), image.height()), ExtendedColorType::Rgb8)
}

/// The mask as an 8-bit grey PNG: 255 inside, 0 outside.
///
/// # Errors
/// As [`png`].
pub fn mask_png(mask: &Mask) -> Result<Vec<u8>, ImagingError> {
    let levels: Vec<u8> = mask.bits().iter().map(|b| if *b { 255 } else { 0 }).collect();
    encode_png(&levels, (mask.width(), mask.height()), ExtendedColorType::L8)
}

/// Writes `bytes` so that a reader sees the old file or the whole new one, never a part.
///
/// # Errors
/// [`ImagingError::Io`] with the path.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ImagingError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    let partial = path.with_file_name(name);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|source| {
        // Nothing is lost if the partial file was never made.
        let _ = std::fs::remove_file(&partial);
        ImagingError::Io { doing: "write", path: path.to_owned(), source }
    })
}

fn encode_png(
    levels: &[u8],
    (width, height): (usize, usize),
    colour: ExtendedColorType,
) -> Result<Vec<u8>, ImagingError> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder =
        png::PngEncoder::new_with_quality(&mut bytes, png::CompressionType::Default, png::FilterType::Adaptive);
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    encoder.write_image(levels, side(width), side(height), colour).map_err(|e| ImagingError::Encode(e.to_string()))?;
    Ok(bytes.into_inner())
}
