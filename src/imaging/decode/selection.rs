//! Which of a file's pixels are wanted, and how its values become grey levels.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::imaging::ImagingError;

/// What a caller wants of a file that holds more than one 8-bit picture.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Selection {
    /// The frame of a DICOM file or the page of a TIFF file, from 0; the first if left out.
    pub frame: Option<u32>,
    /// The values of a grey DICOM image that are shown; the file's own window if left out.
    pub window: Option<Window>,
}

/// A range of values, after rescaling (Hounsfield units in CT), that is shown from black to white.
///
/// The range is that of the function LINEAR of DICOM PS3.3 C.11.2.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The middle of the range.
    pub center: f64,
    /// Its width, at least 1.
    pub width: f64,
}

impl Selection {
    /// The frame to read of `frames`. A note is made if one was picked that nobody asked for.
    pub(super) fn pick(&self, frames: u32, notes: &mut Vec<String>) -> Result<u32, ImagingError> {
        let frame = self.frame.unwrap_or(0);
        if frame >= frames {
            return Err(ImagingError::NoSuchFrame { frame, frames });
        }
        if self.frame.is_none() && frames > 1 {
            notes.push(format!("the file has {frames} frames; the first one is used"));
        }
        Ok(frame)
    }

    /// Refuses a window that is no range of numbers.
    pub(super) fn check(&self) -> Result<(), ImagingError> {
        match self.window {
            Some(Window { center, width }) if !(center.is_finite() && width.is_finite() && width >= 1.) => {
                Err(ImagingError::Window("its center must be a number and its width at least 1"))
            }
            _ => Ok(()),
        }
    }

    /// Refuses a window for pixels that are colours or grey levels already.
    pub(super) fn check_no_window(&self) -> Result<(), ImagingError> {
        match self.window {
            Some(_) => Err(ImagingError::Window("only grey DICOM images have one; leave it out")),
            None => Ok(()),
        }
    }
}
