//! Which bytes belong to a frame.

use std::borrow::Cow;

use super::description::{Description, Photometric};
use super::elements::{Elements, PIXELS, Value};
use super::syntax::{Packing, Syntax};
use super::{corrupt, unsupported};
use crate::imaging::ImagingError;

/// Tag and length of an item, which the offsets of frames count too.
const ITEM_HEADER: usize = 8;

/// The bytes of a frame, still packed. `frame` is below the number of frames; the file must hold them all.
pub fn find<'a>(
    elements: &Elements<'a>,
    description: &Description,
    syntax: Syntax,
    frame: u32,
) -> Result<Cow<'a, [u8]>, ImagingError> {
    match (elements.get(PIXELS), syntax.packing) {
        (Some(Value::Bytes(bytes)), Packing::Native) => native(bytes, description, frame).map(Cow::Borrowed),
        (Some(Value::Fragments { offsets, pieces }), packing) if packing != Packing::Native => {
            encapsulated(offsets, pieces, description.frames, frame)
        }
        _ => Err(corrupt("its pixels are not packed as its transfer syntax says")),
    }
}

/// Frames of one length, one behind the other.
fn native<'a>(bytes: &'a [u8], description: &Description, frame: u32) -> Result<&'a [u8], ImagingError> {
    let samples = if description.photometric == Photometric::Ybr422 { 2 } else { description.samples };
    let bits = description.pixels() as u64 * samples as u64 * u64::from(description.bits.allocated);
    let needed = bits.saturating_mul(u64::from(description.frames)).div_ceil(8);
    if needed > bytes.len() as u64 {
        let found = bytes.len();
        return Err(corrupt(&format!("its pixels have {found} bytes, {needed} are needed; transfer it again")));
    }
    let start = bits * u64::from(frame);
    if !start.is_multiple_of(8) {
        return Err(unsupported("a DICOM file with 1-bit frames that share a byte"));
    }
    // Both lie within the slice, so they fit.
    Ok(&bytes[(start / 8) as usize..(start + bits).div_ceil(8) as usize])
}

/// Frames of one piece each, or pieces that a table of offsets assigns to frames.
fn encapsulated<'a>(
    offsets: &[u8],
    pieces: &[&'a [u8]],
    frames: u32,
    frame: u32,
) -> Result<Cow<'a, [u8]>, ImagingError> {
    let (frames, frame) = (frames as usize, frame as usize);
    if pieces.len() < frames {
        return Err(corrupt(&format!("it has {} compressed pieces for {frames} frames", pieces.len())));
    }
    if pieces.len() == frames {
        return Ok(Cow::Borrowed(pieces[frame]));
    }
    if frames == 1 {
        return Ok(Cow::Owned(pieces.concat()));
    }
    let table: Vec<usize> = offsets.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four) as usize).collect();
    if table.len() != frames {
        return Err(corrupt("its table of offsets does not say which pieces make a frame"));
    }
    let end = table.get(frame + 1).copied().unwrap_or(usize::MAX);
    let mut at = 0;
    let mut bytes = Vec::new();
    for piece in pieces {
        if (table[frame]..end).contains(&at) {
            bytes.extend_from_slice(piece);
        }
        at += piece.len() + ITEM_HEADER;
    }
    Ok(Cow::Owned(bytes))
}
