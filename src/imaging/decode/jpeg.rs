//! JPEG: segments behind markers, and entropy-coded scans between them.
//!
//! The decoder fills what is missing at the end of a file with grey, so completeness is checked here.

use image::DynamicImage;
use image::codecs::jpeg::JpegDecoder;

use super::{Container, big_endian_u16, cursor, explain, pixels};
use crate::imaging::ImagingError;

const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;

/// Width and height from the frame header, once the end of the image has been found.
pub fn size(bytes: &[u8]) -> Result<(u32, u32), ImagingError> {
    let truncated = || ImagingError::Truncated { container: Container::Jpeg, bytes: bytes.len() };
    let (mut at, mut size) = (2, None);
    loop {
        let marker = marker(bytes, &mut at)?;
        match marker {
            END_OF_IMAGE => return size.ok_or_else(|| corrupt("it has no frame header")),
            // Restart markers and the like stand alone.
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let length = usize::from(big_endian_u16(bytes, at).ok_or_else(truncated)?);
        let segment = bytes.get(at + 2..at + length.max(2)).ok_or_else(truncated)?;
        if length < 2 {
            return Err(corrupt("a segment has no length"));
        }
        // 0xc4, 0xc8 and 0xcc are tables; the other markers in this range are frame headers.
        if (0xc0..=0xcf).contains(&marker) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            if size.is_some() {
                return Err(corrupt("it has two frame headers"));
            }
            size = Some(frame(marker, segment)?);
        }
        at += length;
        if marker == START_OF_SCAN {
            if size.is_none() {
                return Err(corrupt("a scan comes before the frame header"));
            }
            at = after_scan(bytes, at).ok_or_else(truncated)?;
        }
    }
}

pub fn read(bytes: &[u8], notes: &mut Vec<String>) -> Result<DynamicImage, ImagingError> {
    let decoder = JpegDecoder::new(cursor(bytes)).map_err(|e| explain(e, Container::Jpeg))?;
    pixels(decoder, Container::Jpeg, notes)
}

/// The code of the marker at `at`, which moves behind it.
fn marker(bytes: &[u8], at: &mut usize) -> Result<u8, ImagingError> {
    let truncated = || ImagingError::Truncated { container: Container::Jpeg, bytes: bytes.len() };
    if *bytes.get(*at).ok_or_else(truncated)? != 0xff {
        return Err(corrupt("a marker is missing"));
    }
    // A marker may be padded with any number of 0xff.
    while *bytes.get(*at).ok_or_else(truncated)? == 0xff {
        *at += 1;
    }
    *at += 1;
    Ok(bytes[*at - 1])
}

/// The next marker after entropy-coded data, where 0xff stands for itself if 0 follows.
fn after_scan(bytes: &[u8], start: usize) -> Option<usize> {
    let pairs = bytes.get(start..)?.windows(2);
    let end = pairs.enumerate().find(|(_, p)| p[0] == 0xff && !matches!(p[1], 0x00 | 0xff | 0xd0..=0xd7))?;
    Some(start + end.0)
}

/// Width and height, if it is a frame that can be decoded faithfully.
fn frame(marker: u8, segment: &[u8]) -> Result<(u32, u32), ImagingError> {
    let refuse = |what: &str, advice| Err(ImagingError::Unsupported { what: what.to_owned(), advice });
    let (Some(precision), Some(height), Some(width), Some(components)) =
        (segment.first(), big_endian_u16(segment, 1), big_endian_u16(segment, 3), segment.get(5))
    else {
        return Err(corrupt("the frame header is too short"));
    };
    if marker > 0xc2 {
        return refuse("lossless, hierarchical or arithmetic-coded JPEG", "save it as baseline JPEG or as PNG");
    }
    if *precision != 8 {
        return refuse(&format!("JPEG with {precision} bits per level"), "save the picture as a 16-bit PNG");
    }
    if *components == 4 {
        return refuse("a CMYK JPEG (four colour components)", "convert it to RGB");
    }
    if width == 0 || height == 0 {
        return Err(corrupt("its width or height is zero"));
    }
    Ok((u32::from(width), u32::from(height)))
}

fn corrupt(reason: &str) -> ImagingError {
    ImagingError::Corrupt { container: Container::Jpeg, reason: reason.to_owned() }
}
