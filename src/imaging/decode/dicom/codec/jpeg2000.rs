//! JPEG 2000, ISO/IEC 15444-1: a codestream, which some writers wrap in the boxes of a JP2 file.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::super::description::{Description, Photometric};
use super::super::samples::Samples;
use super::{Claim, corrupt, failed, unsupported};
use crate::imaging::ImagingError;
use crate::imaging::decode::{big_endian_u16, big_endian_u32};

/// The start of a codestream and the marker of its size.
const MAGIC: &[u8] = &[0xff, 0x4f, 0xff, 0x51];
const SIGNATURE_BOX: &[u8] = b"\0\0\0\x0cjP  ";
/// The most tiles that the index of a tile can count.
const MOST_TILES: u64 = 65_535;

pub fn unpack(packed: &[u8], description: &Description) -> Result<Samples, ImagingError> {
    let no_codestream = || corrupt("its compressed frame has no JPEG 2000 codestream");
    let codestream = codestream(packed).ok_or_else(no_codestream)?;
    let header = Header::read(codestream).ok_or_else(no_codestream)?;
    header.claim.check(description)?;
    if header.subsampled {
        return Err(unsupported("a DICOM file with JPEG 2000 whose samples differ in size"));
    }
    if header.tiles > MOST_TILES {
        return Err(corrupt("its compressed frame has more tiles than JPEG 2000 allows"));
    }
    let settings = DecodeSettings { resolve_palette_indices: false, strict: true, target_resolution: None };
    let image = Image::new(codestream, &settings).map_err(|error| failed(&error))?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| failed(&error))?;
    let planes: Vec<&[f32]> = decoded.components().iter().map(|component| component.samples()).collect();
    let pixels = description.pixels();
    if planes.len() != description.samples || planes.iter().any(|plane| plane.len() != pixels) {
        return Err(corrupt("its compressed frame unpacks to another size than it says"));
    }
    let highest = f32::from(u16::MAX >> (16 - header.claim.precision));
    // The decoder adds the middle of the range to all values, signed ones too.
    let middle = if header.signed { 1 << (header.claim.precision - 1) } else { 0 };
    let field = |value: f32| (value.round().clamp(0., highest) as i32 - middle) as u16;
    let fields = (0..pixels).flat_map(|at| planes.iter().map(move |plane| field(plane[at]))).collect();
    let photometric = match description.photometric {
        Photometric::OfJpeg2000 => Photometric::Rgb,
        Photometric::Ybr422 => Photometric::Ybr,
        other => other,
    };
    Ok(Samples { fields, photometric })
}

/// The codestream, out of its boxes if there are any. What these say about colours is the data set's to say.
fn codestream(packed: &[u8]) -> Option<&[u8]> {
    let mut rest = packed;
    if rest.starts_with(SIGNATURE_BOX) {
        loop {
            let (length, kind) = (big_endian_u32(rest, 0)? as usize, rest.get(4..8)?);
            if kind == b"jp2c" {
                // A length of 0 means up to the end.
                let end = if length == 0 { rest.len() } else { length };
                rest = rest.get(8..end)?;
                break;
            }
            rest = rest.get(length.max(8)..)?;
        }
    }
    rest.starts_with(MAGIC).then_some(rest)
}

struct Header {
    claim: Claim,
    tiles: u64,
    signed: bool,
    subsampled: bool,
}

impl Header {
    /// The SIZ segment, ISO/IEC 15444-1 A.5.1. Components of one frame are all of one kind.
    fn read(codestream: &[u8]) -> Option<Self> {
        let number = |at: usize| big_endian_u32(codestream, at);
        let (width, height) = (number(8)?.checked_sub(number(16)?)?, number(12)?.checked_sub(number(20)?)?);
        let (tile_width, tile_height) = (number(24)?, number(28)?);
        let along = |side: u32, tile: u32| Some(u64::from(side.checked_div(tile)?) + 1);
        let tiles = along(number(8)?, tile_width)? * along(number(12)?, tile_height)?;
        let components = usize::from(big_endian_u16(codestream, 40)?);
        let kinds = codestream.get(42..42 + 3 * components)?.as_chunks::<3>().0;
        let first = kinds.first()?;
        if kinds.iter().any(|kind| kind[0] != first[0]) {
            return None;
        }
        let claim = Claim { size: (width, height), components, precision: (first[0] & 0x7f) + 1 };
        let subsampled = kinds.iter().any(|kind| kind[1..] != [1, 1]);
        Some(Self { claim, tiles, signed: first[0] & 0x80 != 0, subsampled })
    }
}
