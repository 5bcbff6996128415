//! Scores: how well a mask matches its reference, and how far an adversarial image is from its original.
//!
//! [`MaskScores`] holds every score of a prediction against a reference, [`Deltas`] what an attack
//! changed in them, [`PerturbationScores`] what the attack did to the pixels. Distances are in
//! pixels and perturbations in levels of 255, both at the size of what is handed in.
//!
//! A score that has no value (the precision of an empty prediction, say) is `None`, JSON `null`,
//! and [`Reasons`] says why. No score is ever NaN or infinite: a mean over images must not get
//! better because an attack erased the lesion and its distance dropped out.

mod clinical;
mod distance;
mod mask_scores;
mod overlap;
mod perturbation;
mod ssim;
pub mod statistics;
mod surface;

use std::collections::BTreeMap;

pub use clinical::{ClinicalScores, component_count};
pub use distance::squared_distance_transform;
pub use mask_scores::{Deltas, MaskScores};
pub use overlap::{Confusion, OverlapScores};
pub use perturbation::PerturbationScores;
pub use ssim::ssim;
pub use surface::{DEFAULT_NSD_TOLERANCE_PX, SurfaceDistances, SurfaceScores, contour};

use crate::imaging::{Image, Mask};

/// Why each undefined score of a record is `None`: field name to reason code, see [`Undefined`].
pub type Reasons = BTreeMap<String, String>;

/// What keeps two masks or images from being compared.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricError {
    /// The two differ in size.
    #[error(
        "cannot compare a {what} of {}x{} with one of {}x{} (width x height); resize one of them first",
        left.0, left.1, right.0, right.1
    )]
    Size { what: &'static str, left: (usize, usize), right: (usize, usize) },
    /// The tolerance of the surface Dice is not a distance.
    #[error("the surface tolerance must be a finite number of pixels, zero or more; found {found}")]
    Tolerance { found: f64 },
}

/// Why a score has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// The prediction has no pixels.
    #[error("empty_prediction")]
    EmptyPrediction,
    /// The reference has no pixels.
    #[error("empty_reference")]
    EmptyReference,
    /// The two images are equal, so the error that a ratio divides by is zero.
    #[error("identical_images")]
    IdenticalImages,
    /// The image is smaller than the 11 x 11 window of the structural similarity.
    #[error("image_below_11_px")]
    ImageBelowWindow,
    /// The two scores were taken at different surface tolerances.
    #[error("different_tolerances")]
    DifferentTolerances,
}

/// The value, or `None` and a note in `reasons` under the name of the field.
fn or_reason(reasons: &mut Reasons, field: &str, score: Result<f64, Undefined>) -> Option<f64> {
    score.map_err(|why| reasons.insert(field.to_owned(), why.to_string())).ok()
}

fn same_mask_size(left: &Mask, right: &Mask) -> Result<(), MetricError> {
    same_size("mask", (left.width(), left.height()), (right.width(), right.height()))
}

fn same_image_size(left: &Image, right: &Image) -> Result<(), MetricError> {
    same_size("image", (left.width(), left.height()), (right.width(), right.height()))
}

fn same_size(what: &'static str, left: (usize, usize), right: (usize, usize)) -> Result<(), MetricError> {
    if left == right { Ok(()) } else { Err(MetricError::Size { what, left, right }) }
}

#[cfg(test)]
pub(crate) mod strategies {
    //! Random masks and images for the property tests.

    use proptest::prelude::*;

    use crate::imaging::{Image, Mask};

    /// Two masks of one size, each anything from empty to full.
    pub fn mask_pair() -> impl Strategy<Value = (Mask, Mask)> {
        (1_usize..14, 1_usize..14).prop_flat_map(|(width, height)| (mask(width, height), mask(width, height)))
    }

    fn mask(width: usize, height: usize) -> impl Strategy<Value = Mask> {
        let sparsity = prop_oneof![Just(0.0), Just(1.0), 0.0..1.0_f64];
        sparsity
            .prop_flat_map(move |p| prop::collection::vec(prop::bool::weighted(p), width * height))
            .prop_map(move |bits| Mask::new(width, height, bits).unwrap())
    }

    /// Two images of one size, at least 11 x 11.
    pub fn image_pair() -> impl Strategy<Value = (Image, Image)> {
        (11_usize..16, 11_usize..16).prop_flat_map(|(width, height)| (image(width, height), image(width, height)))
    }

    fn image(width: usize, height: usize) -> impl Strategy<Value = Image> {
        prop::collection::vec(any::<u8>(), width * height * 3)
            .prop_map(move |rgb| Image::new(width, height, rgb).unwrap())
    }
}
