//! PNG: a signature and chunks, each with a length, a name, data and a checksum.

use image::DynamicImage;
use image::codecs::png::PngDecoder;

use super::{Container, Limits, big_endian_u32, cursor, explain, pixels};
use crate::imaging::ImagingError;

const SIGNATURE: usize = 8;
/// Length, name and checksum of a chunk, in bytes.
const FRAME: usize = 12;

/// Width and height in pixels from the header.
pub fn size(bytes: &[u8]) -> Result<(u32, u32), ImagingError> {
    if name(bytes, SIGNATURE)? != b"IHDR" {
        return Err(corrupt("it does not start with a header chunk"));
    }
    let side = |at: usize| big_endian_u32(bytes, SIGNATURE + at).ok_or_else(|| truncated(bytes));
    let size = (side(8)?, side(12)?);
    if size.0 == 0 || size.1 == 0 {
        return Err(corrupt("its width or height is zero"));
    }
    Ok(size)
}

/// Walks to the end chunk; true if other pictures follow the default one.
pub fn is_animated(bytes: &[u8]) -> Result<bool, ImagingError> {
    let (mut at, mut animated) = (SIGNATURE, false);
    loop {
        let kind = name(bytes, at)?;
        let length = big_endian_u32(bytes, at).ok_or_else(|| truncated(bytes))? as usize;
        animated |= kind == b"acTL";
        at += FRAME + length;
        if at > bytes.len() {
            return Err(truncated(bytes));
        }
        if kind == b"IEND" {
            return Ok(animated);
        }
    }
}

pub fn read(bytes: &[u8], limits: &Limits, notes: &mut Vec<String>) -> Result<DynamicImage, ImagingError> {
    let mut allowed = image::Limits::no_limits();
    // Four channels of 16 bits, and room for compressed metadata.
    allowed.max_alloc = Some(limits.pixels.saturating_mul(8).saturating_add(16 << 20));
    let decoder = PngDecoder::with_limits(cursor(bytes), allowed).map_err(|e| explain(e, Container::Png))?;
    pixels(decoder, Container::Png, notes)
}

fn name(bytes: &[u8], at: usize) -> Result<&[u8], ImagingError> {
    bytes.get(at + 4..at + 8).ok_or_else(|| truncated(bytes))
}

fn truncated(bytes: &[u8]) -> ImagingError {
    ImagingError::Truncated { container: Container::Png, bytes: bytes.len() }
}

fn corrupt(reason: &str) -> ImagingError {
    ImagingError::Corrupt { container: Container::Png, reason: reason.to_owned() }
}
