//! From pixels to the bytes of a file.

use std::io::Cursor;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use image::codecs::png;
use image::{ExtendedColorType, ImageEncoder, ImageResult};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

use super::{Container, Image, ImagingError, Mask};

/// JPEG quality, the default of libjpeg and PIL.
pub const JPEG_QUALITY: u8 = 75;

/// The image as [`Container::saved_as`] has it: [`png()`], or [`jpeg()`] at [`JPEG_QUALITY`].
///
/// # Errors
/// [`ImagingError::Encode`] if a side is longer than the container allows.
pub fn image(image: &Image, container: Container) -> Result<Vec<u8>, ImagingError> {
    match container {
        Container::Jpeg => jpeg(image, JPEG_QUALITY),
        Container::Png | Container::Tiff | Container::Dicom => png(image),
    }
}

/// The image as an 8-bit RGB PNG.
///
/// # Errors
/// [`ImagingError::Encode`] if a side is longer than PNG allows.
pub fn png(image: &Image) -> Result<Vec<u8>, ImagingError> {
    encode_png(image.rgb(), (image.width(), image.height()), ExtendedColorType::Rgb8)
}

/// As [`png()`] in a fraction of the time, for a file that is a little larger.
///
/// # Errors
/// As [`png()`].
pub fn quick_png(image: &Image) -> Result<Vec<u8>, ImagingError> {
    let size = (image.width(), image.height());
    compress_png(image.rgb(), size, ExtendedColorType::Rgb8, png::CompressionType::Fast)
}

/// The image as a baseline JPEG of a quality from 1 to 100.
///
/// Quantisation tables and chroma at half resolution both ways (4:2:0) are those of libjpeg, and so of
/// PIL's default.
///
/// # Errors
/// [`ImagingError::Encode`] if a side is longer than 65 535 pixels.
pub fn jpeg(image: &Image, quality: u8) -> Result<Vec<u8>, ImagingError> {
    let (Ok(width), Ok(height)) = (u16::try_from(image.width()), u16::try_from(image.height())) else {
        let text = format!("{}x{} is too large for a JPEG", image.width(), image.height());
        return Err(ImagingError::Encode(text));
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let done = encoder.encode(image.rgb(), width, height, ColorType::Rgb);
    done.map_err(|e| ImagingError::Encode(e.to_string()))?;
    Ok(bytes)
}

/// The mask as an 8-bit grey PNG: 255 inside, 0 outside.
///
/// # Errors
/// As [`png()`].
pub fn mask_png(mask: &Mask) -> Result<Vec<u8>, ImagingError> {
    let levels: Vec<u8> = mask.bits().iter().map(|b| if *b { 255 } else { 0 }).collect();
    encode_png(&levels, (mask.width(), mask.height()), ExtendedColorType::L8)
}

/// A map of probabilities in [0, 1], row-major, as an 8-bit grey PNG: 0 is black, 1 is white. Values
/// outside are clamped, NaN becomes black.
///
/// # Errors
/// [`ImagingError::Size`] unless there are `width * height` values and at least one; and as [`png()`].
pub fn probability_png(values: &[f32], (width, height): (usize, usize)) -> Result<Vec<u8>, ImagingError> {
    let wanted = width * height;
    if values.len() != wanted || wanted == 0 {
        return Err(ImagingError::Size { what: "probability map", width, height, wanted, found: values.len() });
    }
    let levels: Vec<u8> = values.iter().map(|v| (v * 255.).round() as u8).collect();
    encode_png(&levels, (width, height), ExtendedColorType::L8)
}

/// Writes `bytes` so that a reader sees the old file or the whole new one, never a part.
///
/// # Errors
/// [`ImagingError::Io`] with the path.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), ImagingError> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    // No two writers, in this process or another, share a partial file.
    name.push(format!(".{}.{}.partial", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let partial = path.with_file_name(name);
    let written = std::fs::write(&partial, bytes).and_then(|()| std::fs::rename(&partial, path));
    written.map_err(|source| {
        // The first error is the one to report; the partial file may not even exist.
        let _ = std::fs::remove_file(&partial);
        ImagingError::Io { doing: "write", path: path.to_owned(), source }
    })
}

fn encode_png(levels: &[u8], size: (usize, usize), colour: ExtendedColorType) -> Result<Vec<u8>, ImagingError> {
    compress_png(levels, size, colour, png::CompressionType::Default)
}

fn compress_png(
    levels: &[u8],
    size: (usize, usize),
    colour: ExtendedColorType,
    compression: png::CompressionType,
) -> Result<Vec<u8>, ImagingError> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = png::PngEncoder::new_with_quality(&mut bytes, compression, png::FilterType::Adaptive);
    run(encoder, levels, size, colour)?;
    Ok(bytes.into_inner())
}

fn run(
    encoder: impl ImageEncoder,
    levels: &[u8],
    (width, height): (usize, usize),
    colour: ExtendedColorType,
) -> Result<(), ImagingError> {
    let (Ok(w), Ok(h)) = (u32::try_from(width), u32::try_from(height)) else {
        return Err(ImagingError::Encode(format!("{width}x{height} is too large for any container")));
    };
    let done: ImageResult<()> = encoder.write_image(levels, w, h, colour);
    done.map_err(|e| ImagingError::Encode(e.to_string()))
}
