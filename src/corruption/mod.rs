//! Natural corruptions: what happens to medical pictures without an attacker, at five severities.
//!
//! A corruption changes values and never places: nothing is shifted, turned or warped, so the reference mask of the
//! clean picture stays valid. Some kinds cover a part of the picture (hair, bubbles, a ruler); the structure is still
//! where it was. Random numbers come from a key alone, and are the same for all severities of a kind: a higher severity
//! is more of the same noise, and no other.
//!
//! The idea of severities and most of the common kinds: Hendrycks and Dietterich, *Benchmarking Neural Network
//! Robustness to Common Corruptions and Perturbations*, 2019, arXiv 1903.12261; the idea of kinds for each modality: Di
//! Salvo et al., *MedMNIST-C*, 2024, arXiv 2406.17536. Strengths are this program's own and are named in each file;
//! lengths are shares of the short side, so that a corruption does the same to a large and to a small picture.

mod blur;
mod colour;
mod dermoscopy;
mod digital;
mod endoscopy;
mod kinds;
mod mri;
mod noise;
mod severity;
#[cfg(test)]
mod tests;
mod ultrasound;
mod xray;

pub use kinds::{Group, Kind, Kinds};
pub use severity::Severity;

use crate::drawing::{Canvas, Draws};
use crate::imaging::{Image, ImagingError};

/// How a kind changes a picture.
enum Effect {
    /// Values of full scale 1 are painted over; they are clamped and rounded at the end.
    Paint(fn(&mut Canvas, Severity, &mut Draws)),
    /// The file is written anew.
    Rewrite(fn(&Image, Severity) -> Result<Image, ImagingError>),
}

/// The picture after a corruption, of the same size. Equal keys give equal pixels on one machine.
///
/// # Errors
/// [`ImagingError::Encode`] for a picture that is too large for a JPEG.
pub fn corrupt(image: &Image, kind: Kind, severity: Severity, key: [u8; 32]) -> Result<Image, ImagingError> {
    match kind.effect() {
        Effect::Paint(paint) => {
            let mut canvas = Canvas::over(image);
            paint(&mut canvas, severity, &mut Draws::from_key(key));
            Ok(canvas.finish())
        }
        Effect::Rewrite(rewrite) => rewrite(image, severity),
    }
}
