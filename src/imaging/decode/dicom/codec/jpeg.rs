//! JPEG: baseline and extended with 8 bits, lossless with up to 16.

use std::io::Cursor;

use jpeg_decoder::{ColorTransform, Decoder};

use super::super::description::{Description, Photometric};
use super::super::samples::Samples;
use super::{Claim, corrupt, failed, unsupported};
use crate::imaging::ImagingError;
use crate::imaging::decode::jpeg;

const LOSSLESS: u8 = 0xc3;

pub fn unpack(packed: &[u8], description: &Description) -> Result<Samples, ImagingError> {
    if !packed.starts_with(&[0xff, 0xd8]) {
        return Err(corrupt("its compressed frame is no JPEG"));
    }
    let frame = jpeg::frame(packed).map_err(|error| failed(&error))?;
    Claim { size: frame.size, components: usize::from(frame.components), precision: frame.precision }
        .check(description)?;
    if frame.marker > LOSSLESS {
        return Err(unsupported("a DICOM file with hierarchical or arithmetic-coded JPEG"));
    }
    if frame.marker != LOSSLESS && frame.precision != 8 {
        return Err(unsupported(&format!("a DICOM file with lossy JPEG of {} bits", frame.precision)));
    }
    let mut decoder = Decoder::new(Cursor::new(packed));
    // Samples as they are, one behind the other: what they mean is told below.
    if frame.components == 3 {
        decoder.set_color_transform(ColorTransform::RGB);
    }
    let bytes = decoder.decode().map_err(|error| failed(&error))?;
    let fields = if frame.precision == 8 {
        bytes.iter().map(|byte| u16::from(*byte)).collect()
    } else {
        bytes.as_chunks().0.iter().map(|pair| u16::from_ne_bytes(*pair)).collect()
    };
    let photometric = match (description.photometric, frame.marker) {
        (Photometric::Grey { .. } | Photometric::Palette, _) => description.photometric,
        (Photometric::Ybr422, LOSSLESS) => Photometric::Ybr,
        (other, LOSSLESS) => other,
        (other, _) => {
            stated(packed).unwrap_or(if other == Photometric::Rgb { Photometric::Rgb } else { Photometric::Ybr })
        }
    };
    Ok(Samples { fields, photometric })
}

/// What the JPEG itself says its colours are: writers often leave RGB in the data set, which is what the
/// picture was before it was compressed.
fn stated(packed: &[u8]) -> Option<Photometric> {
    let mut rest = packed.get(2..)?;
    while let [0xff, marker, high, low, ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match (*marker, rest.get(4..)?) {
            (0xda, _) => return None,
            (0xe0, [b'J', b'F', b'I', b'F', ..]) => return Some(Photometric::Ybr),
            (0xee, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => {
                return Some(if *transform == 0 { Photometric::Rgb } else { Photometric::Ybr });
            }
            _ => rest = rest.get(2 + length..)?,
        }
    }
    None
}
