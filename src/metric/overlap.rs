//! Scores that count pixels: where prediction and reference agree and where they do not.
//!
//! Conventions for empty masks: DSC and IoU are 1 when both are empty and 0 when one is, so that a
//! correct "nothing there" counts as correct. [`OverlapScores::empty_reference`] marks such images,
//! so that a second mean can leave them out.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MetricError, Reasons, Undefined, or_reason, same_mask_size};
use crate::imaging::Mask;

/// Pixels that are counted in 16 bits, of which a vector holds many; an attack counts at every step.
const CHUNK: usize = 1 << 15;

/// Pixel counts of a prediction against a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Confusion {
    /// In both.
    pub true_positive: u64,
    /// In the prediction only.
    pub false_positive: u64,
    /// In the reference only.
    pub false_negative: u64,
    /// In neither.
    pub true_negative: u64,
}

impl Confusion {
    /// Counts the pixels of two masks of one size.
    ///
    /// # Errors
    /// [`MetricError::Size`] if the sizes differ.
    pub fn between(prediction: &Mask, reference: &Mask) -> Result<Self, MetricError> {
        same_mask_size(prediction, reference)?;
        let (mut both, mut predicted, mut expected) = (0, 0, 0);
        for (p, r) in prediction.bits().chunks(CHUNK).zip(reference.bits().chunks(CHUNK)) {
            let mut counts = [0_u16; 3];
            for (p, r) in p.iter().zip(r) {
                counts[0] += u16::from(*p & *r);
                counts[1] += u16::from(*p);
                counts[2] += u16::from(*r);
            }
            both += u64::from(counts[0]);
            predicted += u64::from(counts[1]);
            expected += u64::from(counts[2]);
        }
        let (false_positive, false_negative) = (predicted - both, expected - both);
        let pixels = prediction.bits().len() as u64;
        let true_negative = pixels - both - false_positive - false_negative;
        Ok(Self { true_positive: both, false_positive, false_negative, true_negative })
    }

    /// Counts the pixels outside of `ignored`.
    ///
    /// # Errors
    /// [`MetricError::Size`] if the sizes differ.
    pub fn outside(ignored: &Mask, (prediction, reference): (&Mask, &Mask)) -> Result<Self, MetricError> {
        same_mask_size(prediction, ignored)?;
        same_mask_size(reference, ignored)?;
        let mut counts = Self::between(&prediction.without(ignored), &reference.without(ignored))?;
        counts.true_negative -= ignored.area() as u64;
        Ok(counts)
    }

    /// Number of pixels in the prediction.
    pub fn predicted(&self) -> u64 {
        self.true_positive + self.false_positive
    }

    /// Number of pixels in the reference.
    pub fn expected(&self) -> u64 {
        self.true_positive + self.false_negative
    }

    /// Dice similarity coefficient 2 TP / (2 TP + FP + FN), in [0, 1]; 1 if both masks are empty.
    pub fn dsc(&self) -> f64 {
        ratio(2 * self.true_positive, self.predicted() + self.expected()).unwrap_or(1.)
    }

    /// Intersection over union TP / (TP + FP + FN), in [0, 1]; 1 if both masks are empty.
    pub fn iou(&self) -> f64 {
        ratio(self.true_positive, self.predicted() + self.false_negative).unwrap_or(1.)
    }

    /// TP / (TP + FP), in [0, 1].
    ///
    /// # Errors
    /// [`Undefined::EmptyPrediction`].
    pub fn precision(&self) -> Result<f64, Undefined> {
        ratio(self.true_positive, self.predicted()).ok_or(Undefined::EmptyPrediction)
    }

    /// TP / (TP + FN), in [0, 1].
    ///
    /// # Errors
    /// [`Undefined::EmptyReference`].
    pub fn recall(&self) -> Result<f64, Undefined> {
        ratio(self.true_positive, self.expected()).ok_or(Undefined::EmptyReference)
    }

    /// Share of pixels, background included, on which the masks agree, in [0, 1].
    pub fn pixel_accuracy(&self) -> f64 {
        let right = self.true_positive + self.true_negative;
        ratio(right, right + self.false_positive + self.false_negative).unwrap_or(1.)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The overlap part of the mask scores; each score is in [0, 1], more is better.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OverlapScores {
    /// Dice similarity coefficient.
    pub dsc: f64,
    /// Intersection over union.
    pub iou: f64,
    /// Share of the prediction that is right; `None` for an empty prediction.
    pub precision: Option<f64>,
    /// Share of the reference that was found; `None` for an empty reference.
    pub recall: Option<f64>,
    /// Share of all pixels that are right.
    pub pixel_accuracy: f64,
    /// The counts behind the scores.
    pub confusion: Confusion,
    /// The reference has no pixels: DSC and IoU are 0 or 1 by convention.
    pub empty_reference: bool,
}

impl OverlapScores {
    pub(super) fn new(confusion: Confusion, reasons: &mut Reasons) -> Self {
        Self {
            dsc: confusion.dsc(),
            iou: confusion.iou(),
            precision: or_reason(reasons, "precision", confusion.precision()),
            recall: or_reason(reasons, "recall", confusion.recall()),
            pixel_accuracy: confusion.pixel_accuracy(),
            confusion,
            empty_reference: confusion.expected() == 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::strategies::mask_pair;

    fn row(bits: [u8; 8]) -> Mask {
        Mask::from_fn(8, 1, |x, _| bits[x] == 1)
    }

    #[test]
    fn scores_follow_their_definitions() {
        let confusion =
            Confusion::between(&row([1, 1, 1, 0, 0, 0, 0, 0]), &row([0, 1, 1, 1, 1, 0, 0, 0])).expect("one size");
        let counted = Confusion { true_positive: 2, false_positive: 1, false_negative: 2, true_negative: 3 };
        assert_eq!(confusion, counted);
        assert_eq!(confusion.dsc(), 4. / 7.);
        assert_eq!(confusion.iou(), 2. / 5.);
        assert_eq!(confusion.precision(), Ok(2. / 3.));
        assert_eq!(confusion.recall(), Ok(0.5));
        assert_eq!(confusion.pixel_accuracy(), 5. / 8.);
    }

    #[test]
    fn an_empty_mask_leaves_precision_or_recall_undefined() {
        let (empty, one) = (row([0; 8]), row([1, 0, 0, 0, 0, 0, 0, 0]));
        let missed = Confusion::between(&empty, &one).expect("one size");
        assert_eq!((missed.precision(), missed.recall()), (Err(Undefined::EmptyPrediction), Ok(0.)));
        let hallucinated = Confusion::between(&one, &empty).expect("one size");
        assert_eq!((hallucinated.precision(), hallucinated.recall()), (Ok(0.), Err(Undefined::EmptyReference)));
    }

    #[test]
    fn masks_of_different_sizes_are_refused() {
        let error = Confusion::between(&row([0; 8]), &Mask::from_fn(4, 2, |_, _| false)).unwrap_err();
        assert_eq!(error, MetricError::Size { what: "mask", left: (8, 1), right: (4, 2) });
    }

    proptest! {
        #[test]
        fn dsc_and_iou_are_symmetric_shares((a, b) in mask_pair()) {
            let (there, back) = (Confusion::between(&a, &b).unwrap(), Confusion::between(&b, &a).unwrap());
            prop_assert_eq!(there.dsc(), back.dsc());
            prop_assert_eq!(there.iou(), back.iou());
            prop_assert_eq!(there.precision().ok(), back.recall().ok());
            for score in [there.dsc(), there.iou(), there.pixel_accuracy()] {
                prop_assert!((0. ..=1.).contains(&score));
            }
            prop_assert!((there.iou() - there.dsc() / (2. - there.dsc())).abs() < 1e-12);
        }
    }
}
