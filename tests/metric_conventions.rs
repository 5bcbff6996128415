//! Mask scores against recorded values of MONAI 1.3.2, and our own value where MONAI has none.

use std::collections::BTreeMap;

use segprobe::{
    imaging::Mask,
    metric::{Confusion, MaskScores, SurfaceDistances},
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Fixture {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    pred: Vec<String>,
    gt: Vec<String>,
    expected: BTreeMap<String, Value>,
}

impl Case {
    fn masks(&self) -> (Mask, Mask) {
        (mask(&self.pred), mask(&self.gt))
    }

    /// The recorded value; `None` where MONAI gives nan or inf.
    fn recorded(&self, field: &str) -> Option<f64> {
        let value = self.expected.get(field).unwrap_or_else(|| panic!("{} has no {field}", self.name));
        value.as_f64()
    }

    fn check(&self, field: &str, found: f64, ours_where_undefined: f64) {
        let wanted = self.recorded(field).unwrap_or(ours_where_undefined);
        assert!((found - wanted).abs() < 2e-6, "{} {field}: found {found}, wanted {wanted}", self.name);
    }
}

fn mask(lines: &[String]) -> Mask {
    Mask::from_fn(lines[0].len(), lines.len(), |x, y| lines[y].as_bytes()[x] == b'1')
}

fn cases() -> Vec<Case> {
    let fixture: Fixture = serde_json::from_str(include_str!("fixtures/metrics_cases.json")).unwrap();
    assert_eq!(fixture.cases.len(), 19);
    fixture.cases
}

#[test]
fn overlap_agrees_with_monai() {
    for case in cases() {
        let (prediction, reference) = case.masks();
        let confusion = Confusion::between(&prediction, &reference).unwrap();
        case.check("tp", confusion.true_positive as f64, f64::NAN);
        case.check("fp", confusion.false_positive as f64, f64::NAN);
        case.check("fn", confusion.false_negative as f64, f64::NAN);
        case.check("dice_count_empty", confusion.dsc(), f64::NAN);
        case.check("iou_count_empty", confusion.iou(), f64::NAN);
    }
}

#[test]
fn surface_distances_agree_with_monai() {
    for case in cases() {
        let (prediction, reference) = case.masks();
        let distances = SurfaceDistances::between(&prediction, &reference).unwrap();
        let both_empty = prediction.area() == 0 && reference.area() == 0;
        let diagonal = (prediction.width() as f64).hypot(prediction.height() as f64);
        let (ours_hd, ours_nsd) = if both_empty { (0., 1.) } else { (diagonal, f64::NAN) };
        case.check("hd", distances.hd_px(), ours_hd);
        case.check("hd95", distances.hd95_px(), ours_hd);
        for (field, tolerance_px) in
            [("surface_dice_0", 0.), ("surface_dice_1", 1.), ("surface_dice_1.5", 1.5), ("surface_dice_2", 2.)]
        {
            case.check(field, distances.nsd(tolerance_px), ours_nsd);
        }
    }
}

#[test]
fn empty_masks_are_flagged() {
    let flags = |name: &str| {
        let case = cases().into_iter().find(|case| case.name == name).unwrap();
        let (prediction, reference) = case.masks();
        let scores = MaskScores::between(&prediction, &reference, 2.).unwrap();
        (scores.overlap.empty_reference, scores.clinical.missed, scores.clinical.hallucinated)
    };
    assert_eq!(flags("both_empty"), (true, false, false));
    assert_eq!(flags("empty_pred"), (false, true, false));
    assert_eq!(flags("empty_gt"), (true, false, true));
    assert_eq!(flags("discs_24"), (false, false, false));
}
