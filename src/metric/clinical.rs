//! What a clinician would notice: a lesion missed or invented, grown, moved or torn apart.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Reasons, Undefined, or_reason};
use crate::imaging::Mask;

/// The clinical part of the mask scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClinicalScores {
    /// The reference has pixels, the prediction none.
    pub missed: bool,
    /// The prediction has pixels, the reference none.
    pub hallucinated: bool,
    /// Area of the prediction relative to the reference, minus 1, in percent; `None` for an empty reference.
    pub area_change_percent: Option<f64>,
    /// Distance between the centres of mass in pixels; `None` if either mask is empty.
    pub centroid_shift_px: Option<f64>,
    /// Number of connected parts of the prediction.
    pub components: u64,
    /// Number of connected parts of the reference.
    pub reference_components: u64,
}

impl ClinicalScores {
    pub(super) fn new(prediction: &Mask, reference: &Mask, reasons: &mut Reasons) -> Self {
        let (predicted, expected) = (prediction.area(), reference.area());
        let area_change = match expected {
            0 => Err(Undefined::EmptyReference),
            _ => Ok(100. * (predicted as f64 - expected as f64) / expected as f64),
        };
        Self {
            missed: expected > 0 && predicted == 0,
            hallucinated: expected == 0 && predicted > 0,
            area_change_percent: or_reason(reasons, "area_change_percent", area_change),
            centroid_shift_px: or_reason(reasons, "centroid_shift_px", centroid_shift_px(prediction, reference)),
            components: component_count(prediction),
            reference_components: component_count(reference),
        }
    }
}

fn centroid_shift_px(prediction: &Mask, reference: &Mask) -> Result<f64, Undefined> {
    let to = centroid(prediction).ok_or(Undefined::EmptyPrediction)?;
    let from = centroid(reference).ok_or(Undefined::EmptyReference)?;
    Ok((to.0 - from.0).hypot(to.1 - from.1))
}

/// Mean column and row of the pixels of a mask; `None` if it has none.
fn centroid(mask: &Mask) -> Option<(f64, f64)> {
    let (mut area, mut columns, mut rows) = (0_u64, 0_u64, 0_u64);
    for (y, line) in mask.bits().chunks_exact(mask.width()).enumerate() {
        for (x, inside) in line.iter().enumerate() {
            if *inside {
                area += 1;
                columns += x as u64;
                rows += y as u64;
            }
        }
    }
    (area > 0).then(|| (columns as f64 / area as f64, rows as f64 / area as f64))
}

/// Number of connected parts of a mask. Pixels that touch by a side or a corner belong together.
pub fn component_count(mask: &Mask) -> u64 {
    let (width, height) = (mask.width(), mask.height());
    let mut unseen = mask.bits().to_vec();
    let mut frontier = Vec::new();
    let mut count = 0;
    for start in 0..unseen.len() {
        if !unseen[start] {
            continue;
        }
        count += 1;
        unseen[start] = false;
        frontier.push(start);
        while let Some(at) = frontier.pop() {
            let (x, y) = (at % width, at / width);
            for v in y.saturating_sub(1)..(y + 2).min(height) {
                for u in x.saturating_sub(1)..(x + 2).min(width) {
                    let beside = v * width + u;
                    if std::mem::replace(&mut unseen[beside], false) {
                        frontier.push(beside);
                    }
                }
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(lines: &[&str]) -> Mask {
        Mask::from_fn(lines[0].len(), lines.len(), |x, y| lines[y].as_bytes()[x] == b'#')
    }

    fn score(prediction: &Mask, reference: &Mask) -> (ClinicalScores, Reasons) {
        let mut reasons = Reasons::new();
        let scores = ClinicalScores::new(prediction, reference, &mut reasons);
        (scores, reasons)
    }

    #[test]
    fn corners_connect_and_the_row_end_does_not_wrap() {
        assert_eq!(component_count(&drawn(&["#..", ".#.", "#.#"])), 1);
        assert_eq!(component_count(&drawn(&["..#", "#..", "..."])), 2);
        assert_eq!(component_count(&drawn(&["#.#", "...", "#.#"])), 4);
        assert_eq!(component_count(&drawn(&["..."])), 0);
    }

    #[test]
    fn growth_and_shift_are_measured() {
        let (scores, reasons) = score(&drawn(&["...", "...", "###"]), &drawn(&["##.", "...", "..."]));
        assert_eq!(scores.area_change_percent, Some(50.));
        assert_eq!(scores.centroid_shift_px, Some(0.5_f64.hypot(2.)));
        assert!(!scores.missed && !scores.hallucinated && reasons.is_empty());
    }

    #[test]
    fn a_missed_and_an_invented_lesion_are_told_apart() {
        let (empty, some) = (drawn(&["..."]), drawn(&[".#."]));
        let (missed, reasons) = score(&empty, &some);
        assert!(missed.missed && !missed.hallucinated);
        assert_eq!((missed.area_change_percent, missed.centroid_shift_px), (Some(-100.), None));
        assert_eq!(reasons["centroid_shift_px"], "empty_prediction");

        let (invented, reasons) = score(&some, &empty);
        assert!(!invented.missed && invented.hallucinated);
        assert_eq!((invented.area_change_percent, invented.centroid_shift_px), (None, None));
        assert_eq!(reasons.into_values().collect::<Vec<_>>(), ["empty_reference", "empty_reference"]);
    }
}
