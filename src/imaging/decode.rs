//! From the bytes of a file to pixels.
//!
//! The format is told from the content. A file is walked from chunk to chunk first: this gives its
//! size and shows whether it is complete, before anything is allocated for its pixels. Whatever
//! changes the pixels on the way in, such as 16 bits becoming 8, is said in [`Decoded::notes`].

mod container;
mod dicom;
mod jpeg;
mod limits;
mod png;
mod selection;
mod tiff;

use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError};

use super::{Image, ImagingError, Mask};
pub use container::Container;
pub use limits::Limits;
pub use selection::{Selection, Window};

/// A picture and how it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The pixels, upright.
    pub image: Image,
    /// How the file packed them.
    pub container: Container,
    /// What was changed on the way from the file to the pixels, one sentence each.
    pub notes: Vec<String>,
}

/// Reads a PNG, JPEG, TIFF or DICOM file, the first frame if it holds several.
///
/// As [`decode_with`] and the default [`Selection`].
///
/// # Errors
/// As [`decode_with`].
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, ImagingError> {
    decode_with(bytes, limits, &Selection::default())
}

/// Reads the selected pixels of a PNG, JPEG, TIFF or DICOM file.
///
/// 16-bit levels are rounded to 8 bits and transparency is dropped (colours stay as stored), each with
/// a note unless every pixel is opaque. An EXIF or TIFF orientation is applied, with a note. The values of
/// a grey DICOM image are rescaled and windowed; nothing but pixels is taken from such a file.
///
/// # Errors
/// Content that is empty, unknown, cut off, damaged, of an unsupported kind or beyond `limits`, and a
/// selection that does not fit the file.
pub fn decode_with(bytes: &[u8], limits: &Limits, selection: &Selection) -> Result<Decoded, ImagingError> {
    limits.check_bytes(bytes.len() as u64)?;
    selection.check()?;
    if bytes.is_empty() {
        return Err(ImagingError::Empty);
    }
    let container = Container::of(bytes).ok_or(ImagingError::UnknownFormat)?;
    let mut notes = Vec::new();
    if container != Container::Dicom {
        selection.check_no_window()?;
    }
    let image = match container {
        Container::Png => {
            selection.pick(1, &mut notes)?;
            limits.check_size(png::size(bytes)?)?;
            if png::is_animated(bytes)? {
                notes.push("the PNG is animated; only its default picture is used".to_owned());
            }
            flatten(png::read(bytes, limits, &mut notes)?, &mut notes)?
        }
        Container::Jpeg => {
            selection.pick(1, &mut notes)?;
            limits.check_size(jpeg::size(bytes)?)?;
            flatten(jpeg::read(bytes, &mut notes)?, &mut notes)?
        }
        Container::Tiff => flatten(tiff::read(bytes, limits, selection, &mut notes)?, &mut notes)?,
        Container::Dicom => dicom::read(bytes, limits, selection, &mut notes)?,
    };
    Ok(Decoded { image, container, notes })
}

/// Reads a mask: a pixel is inside if its luma (ITU-R BT.601) is above 127.
///
/// Whether the mask fits its image is asked with [`Mask::check_fits`].
///
/// # Errors
/// As [`decode`]; and [`ImagingError::FaintMask`] if there are marks, but none above 127, as in a mask
/// that stores inside as 1.
pub fn decode_mask(bytes: &[u8], limits: &Limits) -> Result<Mask, ImagingError> {
    let image = decode(bytes, limits)?.image;
    // The weights add up to 2^16, so a grey pixel keeps its level.
    let luma = |[r, g, b]: &[u8; 3]| {
        ((u32::from(*r) * 19_595 + u32::from(*g) * 38_470 + u32::from(*b) * 7_471 + 0x8000) >> 16) as u8
    };
    let levels: Vec<u8> = image.rgb().as_chunks::<3>().0.iter().map(luma).collect();
    let brightest = levels.iter().copied().max().unwrap_or(0);
    if (1..=127).contains(&brightest) {
        return Err(ImagingError::FaintMask { brightest });
    }
    Mask::new(image.width(), image.height(), levels.iter().map(|v| *v > 127).collect())
}

/// [`decode`] of a file.
///
/// # Errors
/// As [`decode`], with the path; [`ImagingError::Io`] if the file cannot be read.
pub fn open(path: &Path, limits: &Limits) -> Result<Decoded, ImagingError> {
    at(path, read(path, limits).and_then(|bytes| decode(&bytes, limits)))
}

/// [`decode_mask`] of a file.
///
/// # Errors
/// As [`decode_mask`], with the path; [`ImagingError::Io`] if the file cannot be read.
pub fn open_mask(path: &Path, limits: &Limits) -> Result<Mask, ImagingError> {
    at(path, read(path, limits).and_then(|bytes| decode_mask(&bytes, limits)))
}

/// At most one byte more than the limit is read, whatever the file's size is said to be.
fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, ImagingError> {
    let failed = |source| ImagingError::Io { doing: "read", path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    limits.check_bytes(file.metadata().map_err(failed)?.len())?;
    let mut bytes = Vec::new();
    file.take(limits.bytes.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn at<T>(path: &Path, result: Result<T, ImagingError>) -> Result<T, ImagingError> {
    result.map_err(|error| match error {
        ImagingError::Io { .. } => error,
        source => ImagingError::File { path: path.to_owned(), source: Box::new(source) },
    })
}

/// Reads all pixels and turns the picture upright.
fn pixels<'a>(
    mut decoder: impl ImageDecoder + 'a,
    container: Container,
    notes: &mut Vec<String>,
) -> Result<DynamicImage, ImagingError> {
    // Broken metadata does not spoil the pixels.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| explain(e, container))?;
    turn_upright(&mut picture, orientation, notes);
    Ok(picture)
}

fn turn_upright(picture: &mut DynamicImage, orientation: Orientation, notes: &mut Vec<String>) {
    if orientation != Orientation::NoTransforms {
        picture.apply_orientation(orientation);
        notes.push(format!("the picture was turned upright (EXIF orientation {})", orientation.to_exif()));
    }
}

/// Runs a decoder that was written for files that keep the rules: if it panics on one that does not, the
/// file is damaged. Its state is thrown away, so nothing half-written is ever seen.
fn isolated<T>(container: Container, decode: impl FnOnce() -> Result<T, ImagingError>) -> Result<T, ImagingError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).unwrap_or_else(|_| {
        Err(ImagingError::Corrupt { container, reason: "its compressed pixels cannot be decoded".to_owned() })
    })
}

fn flatten(picture: DynamicImage, notes: &mut Vec<String>) -> Result<Image, ImagingError> {
    let colour = picture.color();
    if colour.bytes_per_pixel() / colour.channel_count() > 1 {
        notes.push("16-bit levels were rounded to 8 bits".to_owned());
    }
    if colour.has_alpha() && picture.to_rgba16().pixels().any(|p| p.0[3] != u16::MAX) {
        notes.push("transparency was dropped; the colours are as stored".to_owned());
    }
    let rgb = picture.into_rgb8();
    Image::new(rgb.width() as usize, rgb.height() as usize, rgb.into_raw())
}

/// The decoder's complaint in our words.
fn explain(error: ImageError, container: Container) -> ImagingError {
    match error {
        ImageError::Unsupported(e) => {
            ImagingError::Unsupported { what: e.to_string(), advice: "save the picture as an 8-bit PNG" }
        }
        e => ImagingError::Corrupt { container, reason: e.to_string().to_lowercase() },
    }
}

fn big_endian_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn big_endian_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn cursor(bytes: &[u8]) -> Cursor<&[u8]> {
    Cursor::new(bytes)
}
