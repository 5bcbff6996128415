//! All scores of a prediction against a reference, and what an attack changed in them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    ClinicalScores, Confusion, MetricError, OverlapScores, Reasons, SurfaceDistances, SurfaceScores, Undefined,
};
use crate::imaging::Mask;

/// Every score of a predicted mask against a reference mask. Flat in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MaskScores {
    /// DSC, IoU and the other pixel counts.
    #[serde(flatten)]
    pub overlap: OverlapScores,
    /// HD95, HD and NSD.
    #[serde(flatten)]
    pub surface: SurfaceScores,
    /// Missed, hallucinated, grown, moved, in pieces.
    #[serde(flatten)]
    pub clinical: ClinicalScores,
    /// Why a score is `None`.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    #[schema(inline)]
    pub reasons: Reasons,
}

impl MaskScores {
    /// Scores a prediction; `nsd_tolerance_px` is usually [`super::DEFAULT_NSD_TOLERANCE_PX`].
    ///
    /// # Errors
    /// [`MetricError::Size`] if the sizes differ, [`MetricError::Tolerance`] for a tolerance that is not
    /// a distance.
    pub fn between(prediction: &Mask, reference: &Mask, nsd_tolerance_px: f64) -> Result<Self, MetricError> {
        Self::of(Confusion::between(prediction, reference)?, (prediction, reference), nsd_tolerance_px)
    }

    /// Scores a prediction outside of `ignored`: those pixels count in no score, for either mask. Outlines and areas are
    /// those of the two masks without them.
    ///
    /// # Errors
    /// As [`Self::between`].
    pub fn outside(
        ignored: &Mask,
        (prediction, reference): (&Mask, &Mask),
        nsd_tolerance_px: f64,
    ) -> Result<Self, MetricError> {
        let confusion = Confusion::outside(ignored, (prediction, reference))?;
        let masks = (&prediction.without(ignored), &reference.without(ignored));
        Self::of(confusion, masks, nsd_tolerance_px)
    }

    fn of(
        confusion: Confusion,
        (prediction, reference): (&Mask, &Mask),
        nsd_tolerance_px: f64,
    ) -> Result<Self, MetricError> {
        let mut reasons = Reasons::new();
        Ok(Self {
            overlap: OverlapScores::new(confusion, &mut reasons),
            surface: SurfaceScores::new(&SurfaceDistances::between(prediction, reference)?, nsd_tolerance_px)?,
            clinical: ClinicalScores::new(prediction, reference, &mut reasons),
            reasons,
        })
    }
}

/// The scores of an attacked prediction minus those of the clean one, field by field, and how much
/// the two predictions have in common. A negative `dsc` is damage; so is a positive `hd95_px`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Deltas {
    /// Dice similarity coefficient.
    pub dsc: f64,
    /// Intersection over union.
    pub iou: f64,
    /// Precision; `None` where either side has none.
    pub precision: Option<f64>,
    /// Recall; `None` where either side has none.
    pub recall: Option<f64>,
    /// Pixel accuracy.
    pub pixel_accuracy: f64,
    /// 95th percentile Hausdorff distance in pixels.
    pub hd95_px: f64,
    /// Hausdorff distance in pixels.
    pub hd_px: f64,
    /// Normalised surface Dice; `None` if the two were taken at different tolerances.
    pub nsd: Option<f64>,
    /// Area change in percentage points of the reference's area; `None` where either side has none.
    pub area_change_percent: Option<f64>,
    /// Centroid shift in pixels; `None` where either side has none.
    pub centroid_shift_px: Option<f64>,
    /// Number of connected parts of the prediction.
    pub components: i64,
    /// DSC of the attacked prediction with the clean one; needs no reference.
    pub dsc_between_predictions: f64,
    /// IoU of the attacked prediction with the clean one; needs no reference.
    pub iou_between_predictions: f64,
    /// Why a delta is `None`: `clean_` or `adversarial_` and the reason of that side.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    #[schema(inline)]
    pub reasons: Reasons,
}

impl Deltas {
    /// Adversarial minus clean, both against one reference; `predictions` counts the attacked prediction
    /// against the clean one.
    pub fn between(clean: &MaskScores, adversarial: &MaskScores, predictions: &Confusion) -> Self {
        let mut reasons = Reasons::new();
        let mut optional = |field: &str, score: fn(&MaskScores) -> Option<f64>| {
            let delta = score(adversarial).zip(score(clean)).map(|(after, before)| after - before);
            if delta.is_none() {
                reasons.insert(field.to_owned(), side_without(field, clean, adversarial));
            }
            delta
        };
        let precision = optional("precision", |scores| scores.overlap.precision);
        let recall = optional("recall", |scores| scores.overlap.recall);
        let area_change_percent = optional("area_change_percent", |scores| scores.clinical.area_change_percent);
        let centroid_shift_px = optional("centroid_shift_px", |scores| scores.clinical.centroid_shift_px);
        let nsd = if adversarial.surface.nsd_tolerance_px == clean.surface.nsd_tolerance_px {
            Some(adversarial.surface.nsd - clean.surface.nsd)
        } else {
            reasons.insert("nsd".to_owned(), Undefined::DifferentTolerances.to_string());
            None
        };
        Self {
            dsc: adversarial.overlap.dsc - clean.overlap.dsc,
            iou: adversarial.overlap.iou - clean.overlap.iou,
            precision,
            recall,
            pixel_accuracy: adversarial.overlap.pixel_accuracy - clean.overlap.pixel_accuracy,
            hd95_px: adversarial.surface.hd95_px - clean.surface.hd95_px,
            hd_px: adversarial.surface.hd_px - clean.surface.hd_px,
            nsd,
            area_change_percent,
            centroid_shift_px,
            components: adversarial.clinical.components as i64 - clean.clinical.components as i64,
            dsc_between_predictions: predictions.dsc(),
            iou_between_predictions: predictions.iou(),
            reasons,
        }
    }
}

/// Names the side whose score is undefined, the clean one first, and its reason.
fn side_without(field: &str, clean: &MaskScores, adversarial: &MaskScores) -> String {
    match (clean.reasons.get(field), adversarial.reasons.get(field)) {
        (Some(why), _) => format!("clean_{why}"),
        (None, Some(why)) => format!("adversarial_{why}"),
        (None, None) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metric::DEFAULT_NSD_TOLERANCE_PX;

    fn square(side: usize) -> Mask {
        Mask::from_fn(4, 3, |x, y| x < side && y < side)
    }

    fn score(prediction: &Mask, reference: &Mask) -> MaskScores {
        MaskScores::between(prediction, reference, DEFAULT_NSD_TOLERANCE_PX).unwrap()
    }

    #[test]
    fn json_is_flat_and_gives_reasons_for_null() {
        let scores = score(&square(0), &square(2));
        let json = serde_json::to_value(&scores).unwrap();
        let wanted = json!({
            "dsc": 0.0, "iou": 0.0, "precision": null, "recall": 0.0, "pixel_accuracy": 8. / 12.,
            "confusion": {"true_positive": 0, "false_positive": 0, "false_negative": 4, "true_negative": 8},
            "empty_reference": false,
            "hd95_px": 5.0, "hd_px": 5.0, "nsd": 0.0, "nsd_tolerance_px": 2.0,
            "missed": true, "hallucinated": false, "area_change_percent": -100.0, "centroid_shift_px": null,
            "components": 0, "reference_components": 1,
            "reasons": {"precision": "empty_prediction", "centroid_shift_px": "empty_prediction"},
        });
        assert_eq!(json, wanted);
        assert_eq!(serde_json::from_value::<MaskScores>(json).unwrap(), scores);
    }

    #[test]
    fn reasons_are_left_out_where_every_score_has_a_value() {
        let json = serde_json::to_value(score(&square(2), &square(2))).unwrap();
        assert!(json.get("reasons").is_none());
        assert_eq!(serde_json::from_value::<MaskScores>(json).unwrap(), score(&square(2), &square(2)));
    }

    #[test]
    fn what_is_ignored_counts_in_no_score() {
        let ignored = Mask::from_fn(4, 3, |x, y| x < 2 && y < 2);
        let (reference, prediction) = (square(3), Mask::from_fn(4, 3, |x, _| x == 2));
        let outside = |prediction: &Mask, reference: &Mask| {
            MaskScores::outside(&ignored, (prediction, reference), DEFAULT_NSD_TOLERANCE_PX).unwrap()
        };
        let scores = outside(&prediction, &reference);
        let counts = scores.overlap.confusion;
        assert_eq!(
            (counts.true_positive, counts.false_negative, counts.false_positive, counts.true_negative),
            (3, 2, 0, 3)
        );
        assert_eq!((scores.overlap.dsc, scores.overlap.pixel_accuracy), (6. / 8., 6. / 8.));
        let changed = Mask::from_fn(4, 3, |x, y| x == 2 || ignored.get(x, y));
        assert_eq!(outside(&changed, &reference), scores);
        assert_eq!(outside(&prediction, &square(3).without(&square(2))), scores);
        let hidden = outside(&square(2), &square(2));
        assert_eq!((hidden.overlap.dsc, hidden.overlap.empty_reference), (1., true));
        let nothing = Mask::from_fn(4, 3, |_, _| false);
        let all = MaskScores::outside(&nothing, (&prediction, &reference), DEFAULT_NSD_TOLERANCE_PX).unwrap();
        assert_eq!(all, score(&prediction, &reference));
        assert!(MaskScores::outside(&Mask::from_fn(2, 2, |_, _| false), (&prediction, &reference), 2.).is_err());
    }

    #[test]
    fn deltas_are_adversarial_minus_clean() {
        let (reference, clean, attacked) = (square(2), square(2), square(1));
        let predictions = Confusion::between(&attacked, &clean).unwrap();
        let deltas = Deltas::between(&score(&clean, &reference), &score(&attacked, &reference), &predictions);
        assert_eq!((deltas.dsc, deltas.iou), (2. / 5. - 1., 1. / 4. - 1.));
        assert_eq!((deltas.precision, deltas.recall), (Some(0.), Some(-0.75)));
        assert_eq!((deltas.hd_px, deltas.area_change_percent), (2_f64.sqrt(), Some(-75.)));
        assert_eq!((deltas.components, deltas.nsd), (0, Some(0.)));
        assert_eq!((deltas.dsc_between_predictions, deltas.iou_between_predictions), (2. / 5., 1. / 4.));
        assert!(deltas.reasons.is_empty());
    }

    #[test]
    fn an_erased_lesion_has_no_precision_delta_and_a_larger_distance() {
        let (reference, clean, attacked) = (square(2), square(2), square(0));
        let predictions = Confusion::between(&attacked, &clean).unwrap();
        let deltas = Deltas::between(&score(&clean, &reference), &score(&attacked, &reference), &predictions);
        assert_eq!((deltas.dsc, deltas.hd95_px, deltas.precision), (-1., 5., None));
        assert_eq!(deltas.reasons["precision"], "adversarial_empty_prediction");
    }

    #[test]
    fn surface_scores_at_different_tolerances_are_not_subtracted() {
        let strict = MaskScores::between(&square(1), &square(2), 0.).unwrap();
        let predictions = Confusion::between(&square(1), &square(1)).unwrap();
        let deltas = Deltas::between(&strict, &score(&square(1), &square(2)), &predictions);
        assert_eq!((deltas.nsd, deltas.reasons["nsd"].as_str()), (None, "different_tolerances"));
    }
}
