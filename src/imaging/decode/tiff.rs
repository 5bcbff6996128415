//! TIFF: a chain of directories, one per page, each with tags that say where its pixels are.
//!
//! The directories are walked here first, so that the number of pages is known and a chain that bites its
//! own tail is refused. The decoder checks its allocations against the size that the tags claim, and that
//! size is checked before it is asked for pixels.

use std::io::Cursor;

use ::tiff::decoder::{BufferLayoutPreference, Decoder, DecodingResult};
use ::tiff::tags::{SampleFormat, Tag};
use ::tiff::{ColorType, TiffError};
use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer};

use super::{Container, Limits, Selection, cursor, isolated, turn_upright};
use crate::imaging::ImagingError;

const ADVICE: &str = "save the picture as a PNG, or as an 8-bit or 16-bit grey or RGB TIFF";
/// No microscope or scanner writes more; a chain that is longer runs in a circle.
const MOST_PAGES: u32 = 65_536;

/// The selected page, upright.
pub fn read(
    bytes: &[u8],
    limits: &Limits,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Result<DynamicImage, ImagingError> {
    let page = selection.pick(pages(bytes)?, notes)?;
    let (mut picture, orientation) = isolated(Container::Tiff, || decode(bytes, limits, page as usize))?;
    turn_upright(&mut picture, orientation, notes);
    Ok(picture)
}

/// Walks the chain of directories to its end and counts them.
fn pages(bytes: &[u8]) -> Result<u32, ImagingError> {
    let truncated = || ImagingError::Truncated { container: Container::Tiff, bytes: bytes.len() };
    let number = |at: usize, size: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(size)?)?;
        let join = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if bytes[0] == b'I' { field.iter().rev().fold(0, join) } else { field.iter().fold(0, join) })
    };
    // In a BigTIFF (version 43) counts and offsets have 8 bytes, and entries 20.
    let big = bytes[2].max(bytes[3]) == 43;
    let (first, count, entry, offset) = if big { (8, 8, 20, 8) } else { (4, 2, 12, 4) };
    let mut at = number(first, offset).ok_or_else(truncated)?;
    let mut pages = 0;
    while at != 0 {
        pages += 1;
        if pages > MOST_PAGES {
            return Err(corrupt("its pages form a circle"));
        }
        let next = || {
            let directory = usize::try_from(at).ok()?;
            let entries = usize::try_from(number(directory, count)?).ok()?;
            let end = entries.checked_mul(entry)?.checked_add(count)?.checked_add(directory)?;
            number(end, offset)
        };
        at = next().ok_or_else(truncated)?;
    }
    if pages == 0 { Err(corrupt("it has no page")) } else { Ok(pages) }
}

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

fn decode(bytes: &[u8], limits: &Limits, page: usize) -> Result<(DynamicImage, Orientation), ImagingError> {
    let failed = |error| explain(error, bytes.len());
    let mut decoder = Decoder::new(cursor(bytes)).map_err(failed)?;
    decoder.seek_to_image(page).map_err(failed)?;
    let size = decoder.dimensions().map_err(failed)?;
    limits.check_size(size)?;
    // The size is within the limits; four channels of 16 bits are the most that is read, and tags take some room.
    let mut allowed = ::tiff::decoder::Limits::default();
    allowed.decoding_buffer_size = size.0 as usize * size.1 as usize * 8 + (1 << 20);
    allowed.intermediate_buffer_size = allowed.decoding_buffer_size.saturating_add(bytes.len());
    let mut decoder = decoder.with_limits(allowed);
    // Broken metadata does not spoil the pixels.
    let orientation = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    let orientation = orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms);
    Ok((picture(&mut decoder, size, bytes.len())?, orientation))
}

fn picture(decoder: &mut Reader, size: (u32, u32), length: usize) -> Result<DynamicImage, ImagingError> {
    let failed = |error| explain(error, length);
    let colour = decoder.colortype().map_err(failed)?;
    let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).map_err(failed)?;
    if formats.is_some_and(|all| all.iter().any(|one| SampleFormat::from_u16(*one) != Some(SampleFormat::Uint))) {
        return Err(unsupported("a TIFF with signed or floating-point values"));
    }
    let readable = match colour {
        ColorType::Gray(bits) => matches!(bits, 1 | 2 | 4 | 8 | 16),
        ColorType::RGB(bits) | ColorType::RGBA(bits) => matches!(bits, 8 | 16),
        ColorType::Multiband { bit_depth, num_samples: 2 } => matches!(bit_depth, 8 | 16),
        _ => false,
    };
    if !readable {
        return Err(unsupported(&format!("a TIFF with the colour type {colour:?}")));
    }
    let mut pixels = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut pixels).map_err(failed)?;
    let picture = match pixels {
        DecodingResult::U8(levels) => eight_bits(interleaved(levels, &layout), colour, size),
        DecodingResult::U16(levels) => sixteen_bits(interleaved(levels, &layout), colour, size),
        _ => None,
    };
    picture.ok_or_else(|| corrupt("its pixels do not fit its size"))
}

/// Pixel after pixel, whether the file stores them so or colour after colour.
fn interleaved<T: Copy>(levels: Vec<T>, layout: &BufferLayoutPreference) -> Vec<T> {
    let Some(stride) = layout.plane_stride.filter(|_| layout.planes > 1) else { return levels };
    let stride = stride.get() / size_of::<T>();
    let planes: Vec<&[T]> = levels.chunks_exact(stride).collect();
    (0..stride).flat_map(|at| planes.iter().map(move |plane| plane[at])).collect()
}

fn eight_bits(levels: Vec<u8>, colour: ColorType, size: (u32, u32)) -> Option<DynamicImage> {
    let (width, height) = size;
    match colour {
        ColorType::Gray(bits) => {
            let mut grey = unpacked(levels, bits, size);
            let brightest = u8::MAX >> (8 - bits);
            grey.iter_mut().for_each(|level| *level *= u8::MAX / brightest);
            ImageBuffer::from_raw(width, height, grey).map(DynamicImage::ImageLuma8)
        }
        ColorType::RGB(_) => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgb8),
        ColorType::RGBA(_) => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgba8),
        _ => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLumaA8),
    }
}

fn sixteen_bits(levels: Vec<u16>, colour: ColorType, (width, height): (u32, u32)) -> Option<DynamicImage> {
    match colour {
        ColorType::Gray(_) => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLuma16),
        ColorType::RGB(_) => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgb16),
        ColorType::RGBA(_) => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageRgba16),
        _ => ImageBuffer::from_raw(width, height, levels).map(DynamicImage::ImageLumaA16),
    }
}

/// One byte for each number of 1, 2, 4 or 8 bits. The first number of a byte has its upper bits, and a row
/// ends with its byte.
fn unpacked(packed: Vec<u8>, bits: u8, (width, height): (u32, u32)) -> Vec<u8> {
    if bits == 8 {
        return packed;
    }
    let (width, per_byte) = (width as usize, usize::from(8 / bits));
    let rows = packed.chunks_exact(width.div_ceil(per_byte)).take(height as usize);
    let number =
        |row: &[u8], x: usize| row[x / per_byte] >> (8 - bits as usize * (x % per_byte + 1)) & u8::MAX >> (8 - bits);
    rows.flat_map(|row| (0..width).map(move |x| number(row, x))).collect()
}

fn explain(error: TiffError, bytes: usize) -> ImagingError {
    match error {
        TiffError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImagingError::Truncated { container: Container::Tiff, bytes }
        }
        TiffError::UnsupportedError(e) => {
            unsupported(&format!("a TIFF of this kind ({})", e.to_string().to_lowercase()))
        }
        e => corrupt(&e.to_string().to_lowercase()),
    }
}

fn unsupported(what: &str) -> ImagingError {
    ImagingError::Unsupported { what: what.to_owned(), advice: ADVICE }
}

fn corrupt(reason: &str) -> ImagingError {
    ImagingError::Corrupt { container: Container::Tiff, reason: reason.to_owned() }
}
