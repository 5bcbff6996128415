//! JPEG: segments behind markers, and entropy-coded scans between them.
//!
//! The decoder fills what is missing at the end of a file with grey, so completeness is checked here.

use image::DynamicImage;
use image::codecs::jpeg::JpegDecoder;

use super::{Container, big_endian_u16, cursor, explain, pixels};
use crate::imaging::ImagingError;

const END_OF_IMAGE: u8 = 0xd9;
const START_OF_SCAN: u8 = 0xda;

/// What the frame header says.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The process: 0xc0 to 0xc2 are baseline, extended and progressive, 0xc3 is lossless.
    pub marker: u8,
    /// Bits of a level.
    pub precision: u8,
    /// Width and height in pixels, neither of them zero.
    pub size: (u32, u32),
    /// Colours of a pixel.
    pub components: u8,
}

/// Width and height of a frame that can be decoded faithfully, once the end of the image has been found.
pub fn size(bytes: &[u8]) -> Result<(u32, u32), ImagingError> {
    let frame = frame(bytes)?;
    let refuse = |what: &str, advice| Err(ImagingError::Unsupported { what: what.to_owned(), advice });
    if frame.marker > 0xc2 {
        return refuse("lossless, hierarchical or arithmetic-coded JPEG", "save it as baseline JPEG or as PNG");
    }
    if frame.precision != 8 {
        let what = format!("JPEG with {} bits per level", frame.precision);
        return refuse(&what, "save the picture as a 16-bit PNG");
    }
    if frame.components == 4 {
        return refuse("a CMYK JPEG (four colour components)", "convert it to RGB");
    }
    Ok(frame.size)
}

/// The only frame header, once the end of the image has been found.
pub fn frame(bytes: &[u8]) -> Result<Frame, ImagingError> {
    let truncated = || ImagingError::Truncated { container: Container::Jpeg, bytes: bytes.len() };
    let (mut at, mut frame) = (2, None);
    loop {
        let marker = marker(bytes, &mut at)?;
        match marker {
            END_OF_IMAGE => return frame.ok_or_else(|| corrupt("it has no frame header")),
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
            if frame.is_some() {
                return Err(corrupt("it has two frame headers"));
            }
            frame = Some(Frame::read(marker, segment)?);
        }
        at += length;
        if marker == START_OF_SCAN {
            if frame.is_none() {
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

impl Frame {
    /// A frame header from its segment.
    pub fn read(marker: u8, segment: &[u8]) -> Result<Self, ImagingError> {
        let (Some(precision), Some(height), Some(width), Some(components)) =
            (segment.first(), big_endian_u16(segment, 1), big_endian_u16(segment, 3), segment.get(5))
        else {
            return Err(corrupt("the frame header is too short"));
        };
        if width == 0 || height == 0 {
            return Err(corrupt("its width or height is zero"));
        }
        let size = (u32::from(width), u32::from(height));
        Ok(Self { marker, precision: *precision, size, components: *components })
    }
}

fn corrupt(reason: &str) -> ImagingError {
    ImagingError::Corrupt { container: Container::Jpeg, reason: reason.to_owned() }
}
