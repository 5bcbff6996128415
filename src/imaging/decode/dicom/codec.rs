//! From the packed bytes of a frame to its stored values.
//!
//! A compressed frame has a header of its own. What it claims is held against the data set, whose size is
//! within the limits, before anything is unpacked.

mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod run_length;

use super::corrupt;
use super::description::Description;
use super::elements::Elements;
use super::samples::Samples;
use super::syntax::{self, Packing, Syntax};
use crate::imaging::ImagingError;
use crate::imaging::decode::{Container, isolated};

/// The stored values of a frame.
pub fn unpack(
    packed: &[u8],
    description: &Description,
    syntax: Syntax,
    elements: &Elements,
) -> Result<Samples, ImagingError> {
    if syntax.packing != Packing::Native && description.bits.allocated == 1 {
        return Err(unsupported("a DICOM file with compressed 1-bit pixels"));
    }
    let mut samples = match syntax.packing {
        Packing::Native => return Ok(Samples::native(packed, description, elements)),
        Packing::RunLength => run_length::unpack(packed, description)?,
        Packing::Jpeg => isolated(Container::Dicom, || jpeg::unpack(packed, description))?,
        Packing::JpegLs => isolated(Container::Dicom, || jpeg_ls::unpack(packed, description))?,
        Packing::Jpeg2000 => isolated(Container::Dicom, || jpeg2000::unpack(packed, description))?,
    };
    let needed = description.pixels() * description.samples;
    if samples.fields.len() != needed {
        return Err(corrupt(&format!("its frame unpacks to {} values, {needed} are needed", samples.fields.len())));
    }
    // Codecs give values; only run lengths keep the words around them.
    if syntax.packing == Packing::RunLength {
        samples.fields.iter_mut().for_each(|field| *field = description.bits.field(*field));
    } else {
        samples.fields.iter_mut().for_each(|field| *field &= description.bits.highest());
    }
    Ok(samples)
}

/// What the header of a compressed frame says.
struct Claim {
    size: (u32, u32),
    components: usize,
    precision: u8,
}

impl Claim {
    fn check(&self, description: &Description) -> Result<(), ImagingError> {
        let (width, height) = self.size;
        if self.size != description.size() || self.components != description.samples {
            let (columns, rows, samples) = (description.columns, description.rows, description.samples);
            return Err(corrupt(&format!(
                "its compressed frame is {width}x{height} with {} samples, the data set says {columns}x{rows} with {samples}",
                self.components
            )));
        }
        if u16::from(self.precision) > description.bits.allocated {
            let (found, allocated) = (self.precision, description.bits.allocated);
            return Err(corrupt(&format!("its compressed frame has {found} bits, the data set allocates {allocated}")));
        }
        Ok(())
    }
}

/// What a decoder says about a frame, in our words.
fn failed(error: &dyn std::fmt::Display) -> ImagingError {
    corrupt(&format!("its compressed frame cannot be decoded: {}", error.to_string().to_lowercase()))
}

/// A frame that other tools can unpack.
fn unsupported(what: &str) -> ImagingError {
    ImagingError::Unsupported { what: what.to_owned(), advice: syntax::ADVICE }
}
