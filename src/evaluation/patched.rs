//! What a patch is worth: how much it covers, and what other patches of its size do at its place.

use serde::Serialize;
use utoipa::ToSchema;

use crate::attack::{GREY, Outcome, Problem, Setup};

/// Above this share of the reference a patch hides what it is judged by.
const HIDES: f64 = 0.25;

/// A patch in numbers. All DSC here and in the rest of the result are those outside of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PatchResult {
    /// Pixels under the patch.
    pub pixels: usize,
    /// Their share of the image.
    pub share_of_image: f64,
    /// The share of the reference that lies under the patch and does not count; null for an empty reference.
    #[schema(required)]
    pub share_of_reference: Option<f64>,
    /// DSC with a grey patch in its place.
    pub grey_dsc: f64,
    /// DSC with uniform noise in its place, which the attack began with.
    pub noise_dsc: f64,
    /// DSC with the patch that was found, in the file.
    pub dsc: f64,
}

impl PatchResult {
    /// That of an outcome; `None` where all pixels count.
    pub(super) fn new(problem: &Problem, outcome: &Outcome) -> Option<Self> {
        let Setup { reference, ignored, .. } = problem.setup();
        let ignored = ignored.as_ref()?;
        let grey = outcome.records.iter().position(|record| record.tried.as_deref() == Some(GREY))?;
        let (expected, left) = (reference.area(), reference.without(ignored).area());
        Some(Self {
            pixels: ignored.area(),
            share_of_image: ignored.area() as f64 / ignored.bits().len() as f64,
            share_of_reference: (expected > 0).then(|| (expected - left) as f64 / expected as f64),
            grey_dsc: outcome.records[grey].dsc,
            noise_dsc: outcome.records.get(grey + 1)?.dsc,
            dsc: outcome.file.evaluation.dsc,
        })
    }

    /// What the reader should know before trusting the numbers.
    pub(super) fn notes(&self) -> Vec<String> {
        let Self { pixels, share_of_image, share_of_reference, grey_dsc, noise_dsc, dsc } = self;
        let mut notes = vec![format!(
            "the patch covers {pixels} pixels, {:.1} % of the image, which no score counts; in its place a grey one leaves a \
             DSC of {grey_dsc:.3} and uniform noise {noise_dsc:.3}, where the patch leaves {dsc:.3}",
            100. * share_of_image
        )];
        if let Some(share) = share_of_reference.filter(|share| *share > HIDES) {
            notes.push(format!(
                "the patch covers {:.0} % of the reference: that is occlusion more than an attack, place it elsewhere",
                100. * share
            ));
        }
        notes
    }
}
