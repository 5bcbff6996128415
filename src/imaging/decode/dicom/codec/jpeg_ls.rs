//! JPEG-LS, ISO/IEC 14495-1: one grey component, lossless or near-lossless.

use super::super::description::Description;
use super::super::samples::Samples;
use super::{Claim, corrupt, failed, unsupported};
use crate::imaging::ImagingError;
use crate::imaging::decode::{big_endian_u16, jpeg};

const START_OF_FRAME: u8 = 0xf7;
const START_OF_SCAN: u8 = 0xda;

pub fn unpack(packed: &[u8], description: &Description) -> Result<Samples, ImagingError> {
    let frame = frame(packed).ok_or_else(|| corrupt("its compressed frame has no JPEG-LS header"))??;
    Claim { size: frame.size, components: usize::from(frame.components), precision: frame.precision }
        .check(description)?;
    if description.samples != 1 {
        return Err(unsupported("a DICOM file with JPEG-LS colours"));
    }
    let (width, height) = frame.size;
    let (fields, ..) = jpegls::decode(packed, width, height).map_err(|error| failed(&error))?;
    Ok(Samples { fields, photometric: description.photometric })
}

/// The first frame header, `None` if the scan or the end comes before it.
fn frame(packed: &[u8]) -> Option<Result<jpeg::Frame, ImagingError>> {
    let mut at = 2;
    loop {
        let marker = match packed.get(at..at + 2)? {
            [0xff, START_OF_SCAN] => return None,
            [0xff, marker] => *marker,
            _ => return None,
        };
        let length = usize::from(big_endian_u16(packed, at + 2)?);
        let segment = packed.get(at + 4..at + 2 + length)?;
        if marker == START_OF_FRAME {
            return Some(jpeg::Frame::read(marker, segment).map_err(|error| failed(&error)));
        }
        at += 2 + length;
    }
}
