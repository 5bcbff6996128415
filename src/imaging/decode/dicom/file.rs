//! The head of a file: 128 bytes of anything, `DICM`, and a group of elements that names the syntax of the rest.
//!
//! Old files have no head. They are read if they start with the first elements of an image's data set.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::DeflateDecoder;

use super::elements::Tag;
use super::syntax::{Encoding, Syntax};
use super::{corrupt, truncated};
use crate::imaging::{ImagingError, Limits};

const PREAMBLE: usize = 128;
const MAGIC: &[u8] = b"DICM";
const TRANSFER_SYNTAX: Tag = (0x0002, 0x0010);

/// Whether a file starts like DICOM, with a head or without.
pub fn is_dicom(bytes: &[u8]) -> bool {
    has_head(bytes) || headless(bytes).is_some()
}

/// A data set and how it is written.
pub fn data_set<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(Cow<'a, [u8]>, Syntax), ImagingError> {
    if let (false, Some(encoding)) = (has_head(bytes), headless(bytes)) {
        return Ok((Cow::Borrowed(bytes), Syntax::native(encoding)));
    }
    let (rest, syntax) = head(bytes)?;
    let content = if syntax.deflated { Cow::Owned(inflate(rest, limits)?) } else { Cow::Borrowed(rest) };
    Ok((content, syntax))
}

fn has_head(bytes: &[u8]) -> bool {
    bytes.get(PREAMBLE..PREAMBLE + MAGIC.len()) == Some(MAGIC)
}

/// The encoding of a data set that comes without a head: it starts with a short element of group 8.
fn headless(bytes: &[u8]) -> Option<Encoding> {
    let [8, 0, _, 0, start @ ..] = bytes.first_chunk::<8>()? else { return None };
    match start {
        [a, b, _, 0] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Some(Encoding::EXPLICIT),
        [_, 0, 0, 0] => Some(Encoding::IMPLICIT),
        _ => None,
    }
}

/// What follows the head, and its syntax. The head itself is always explicit and little-endian.
fn head(bytes: &[u8]) -> Result<(&[u8], Syntax), ImagingError> {
    let mut rest = &bytes[PREAMBLE + MAGIC.len()..];
    let mut syntax = None;
    while let [2, 0, low, high, kind @ ..] = rest {
        let tag = (2, u16::from_le_bytes([*low, *high]));
        let (length, start): (usize, usize) = match kind {
            [b'O', b'B', _, _, a, b, c, d, ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, 12),
            [_, _, a, b, ..] => (usize::from(u16::from_le_bytes([*a, *b])), 8),
            _ => return Err(truncated(bytes)),
        };
        let value = start.checked_add(length).and_then(|end| rest.get(start..end)).ok_or_else(|| truncated(bytes))?;
        if tag == TRANSFER_SYNTAX {
            syntax = Some(Syntax::of(value)?);
        }
        rest = &rest[start + length..];
    }
    if rest.is_empty() {
        return Err(truncated(bytes));
    }
    Ok((rest, syntax.ok_or_else(|| corrupt("its head names no transfer syntax"))?))
}

/// Stops at the size that a file may have without compression.
fn inflate(deflated: &[u8], limits: &Limits) -> Result<Vec<u8>, ImagingError> {
    let mut content = Vec::new();
    let failed = |_| corrupt("its deflated data set cannot be inflated");
    DeflateDecoder::new(deflated).take(limits.bytes.saturating_add(1)).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > limits.bytes {
        return Err(ImagingError::Inflated { limit: limits.bytes });
    }
    Ok(content)
}
