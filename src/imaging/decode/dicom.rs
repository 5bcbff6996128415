//! DICOM: a data set of elements that describe an image, and its pixels, often compressed.
//!
//! The way of a frame: [`mod@file`] finds the data set, [`elements`] walks it, [`description`] checks what it says
//! about the pixels, [`frames`] finds the bytes of the frame, [`codec`] unpacks them, and [`grey`] or
//! [`colour`] turn the stored values into levels. Only pixels leave this module. Files come from outside,
//! and the general-purpose parsers take them at their word: they recurse once for every nested sequence
//! and allocate what an element claims to hold. So the walk is our own, as it is for PNG and JPEG.

mod codec;
mod colour;
mod description;
mod elements;
mod file;
mod frames;
mod grey;
mod samples;
mod syntax;

use super::{Container, Limits, Selection};
use crate::imaging::{Image, ImagingError};
use description::{Description, Photometric};
use elements::Elements;
pub use file::is_dicom;

/// The selected frame as 8-bit RGB.
pub fn read(
    bytes: &[u8],
    limits: &Limits,
    selection: &Selection,
    notes: &mut Vec<String>,
) -> Result<Image, ImagingError> {
    let (content, syntax) = file::data_set(bytes, limits)?;
    let elements = Elements::read(&content, syntax.encoding).map_err(|error| match error {
        // What was walked may be a part of the file, or more than it.
        ImagingError::Truncated { .. } => truncated(bytes),
        other => other,
    })?;
    let description = Description::new(&elements)?;
    limits.check_size(description.size())?;
    let frame = selection.pick(description.frames, notes)?;
    let packed = frames::find(&elements, &description, syntax, frame)?;
    let samples = codec::unpack(&packed, &description, syntax, &elements)?;
    let rgb = if let Photometric::Grey { .. } = description.photometric {
        grey::levels(&samples, &description, &elements, selection.window, notes)?
    } else {
        selection.check_no_window()?;
        colour::levels(&samples, &description, &elements, notes)?
    };
    Image::new(usize::from(description.columns), usize::from(description.rows), rgb)
}

fn truncated(bytes: &[u8]) -> ImagingError {
    ImagingError::Truncated { container: Container::Dicom, bytes: bytes.len() }
}

fn corrupt(reason: &str) -> ImagingError {
    ImagingError::Corrupt { container: Container::Dicom, reason: reason.to_owned() }
}

fn unsupported(what: &str) -> ImagingError {
    ImagingError::Unsupported { what: what.to_owned(), advice: "export the picture as PNG" }
}
