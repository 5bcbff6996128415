//! Scores that measure how far apart two outlines are, in pixels.
//!
//! The outline of a mask is its set of edge pixels ([`contour`]). From each edge pixel of one mask the
//! Euclidean distance to the nearest edge pixel of the other is taken, and the same back. The
//! Hausdorff distance (HD) is the largest of these; HD95 takes the 95th percentile of each direction,
//! interpolated between order statistics, and then the larger of the two. The normalised surface
//! Dice (NSD) of Nikolov et al. (arXiv 1809.04430) is the share of edge pixels within a tolerance;
//! here edge pixels are counted, not weighted by length.
//!
//! Both masks empty: distance 0, NSD 1. One empty: distance = the image's diagonal, which is more than
//! any two pixels are apart, and NSD 0.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MetricError, distance::squared_distance_transform, same_mask_size, statistics::percentile_of_sorted};
use crate::imaging::Mask;

/// The tolerance of the normalised surface Dice where none is asked for.
pub const DEFAULT_NSD_TOLERANCE_PX: f64 = 2.;

/// The edge pixels of a mask: those with one of their four neighbours outside the mask or the frame.
pub fn contour(mask: &Mask) -> Mask {
    let (width, height) = (mask.width(), mask.height());
    Mask::from_fn(width, height, |x, y| {
        mask.get(x, y)
            && (x == 0
                || y == 0
                || x + 1 == width
                || y + 1 == height
                || !(mask.get(x - 1, y) && mask.get(x + 1, y) && mask.get(x, y - 1) && mask.get(x, y + 1)))
    })
}

/// The distances between the outlines of two masks.
#[derive(Debug, Clone, PartialEq)]
pub struct SurfaceDistances {
    outlines: Outlines,
    diagonal_px: f64,
}

#[derive(Debug, Clone, PartialEq)]
enum Outlines {
    BothEmpty,
    OneEmpty,
    /// Ascending, in pixels: from each edge pixel of one mask to the other's outline, and back.
    Directed([Vec<f64>; 2]),
}

impl SurfaceDistances {
    /// Measures both directions; symmetric in its arguments.
    ///
    /// # Errors
    /// [`MetricError::Size`] if the sizes differ.
    pub fn between(prediction: &Mask, reference: &Mask) -> Result<Self, MetricError> {
        same_mask_size(prediction, reference)?;
        let diagonal_px = (prediction.width() as f64).hypot(prediction.height() as f64);
        let outlines = match (prediction.area(), reference.area()) {
            (0, 0) => Outlines::BothEmpty,
            (0, _) | (_, 0) => Outlines::OneEmpty,
            _ => {
                let window = Window::around(prediction, reference);
                let outlines = [prediction, reference].map(|mask| contour(&window.crop(mask)));
                let [predicted, expected] = &outlines;
                Outlines::Directed([directed(predicted, expected), directed(expected, predicted)])
            }
        };
        Ok(Self { outlines, diagonal_px })
    }

    /// Hausdorff distance in pixels.
    pub fn hd_px(&self) -> f64 {
        self.farthest_percentile(100.)
    }

    /// Larger of the two directed 95th percentiles, in pixels.
    pub fn hd95_px(&self) -> f64 {
        self.farthest_percentile(95.)
    }

    fn farthest_percentile(&self, percent: f64) -> f64 {
        match &self.outlines {
            Outlines::BothEmpty => 0.,
            Outlines::OneEmpty => self.diagonal_px,
            Outlines::Directed(both) => {
                both.iter().filter_map(|sorted| percentile_of_sorted(sorted, percent)).fold(0., f64::max)
            }
        }
    }

    /// Normalised surface Dice: the share of edge pixels, of both masks together, that are at most
    /// `tolerance_px` from the other outline. In [0, 1], more is better.
    pub fn nsd(&self, tolerance_px: f64) -> f64 {
        match &self.outlines {
            Outlines::BothEmpty => 1.,
            Outlines::OneEmpty => 0.,
            Outlines::Directed(both) => {
                let near = |sorted: &Vec<f64>| sorted.partition_point(|distance| *distance <= tolerance_px);
                let [close, all] = [both.iter().map(near).sum::<usize>(), both.iter().map(Vec::len).sum()];
                close as f64 / all as f64
            }
        }
    }
}

fn directed(from: &Mask, to: &Mask) -> Vec<f64> {
    let squared = squared_distance_transform(to).unwrap_or_default();
    let mut distances: Vec<f64> =
        from.bits().iter().zip(squared).filter(|(edge, _)| **edge).map(|(_, d)| (d as f64).sqrt()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    distances
}

/// The smallest rectangle that holds both masks. All outlines and so all shortest ways start and end in
/// it, and outlines do not change: what the crop cuts off was background.
struct Window {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Window {
    fn around(a: &Mask, b: &Mask) -> Self {
        let inside = |x: usize, y: usize| a.get(x, y) || b.get(x, y);
        let (width, height) = (a.width(), a.height());
        let rows = occupied(height, |y| (0..width).any(|x| inside(x, y)));
        let columns = occupied(width, |x| (rows.0..rows.1).any(|y| inside(x, y)));
        Self { left: columns.0, top: rows.0, width: columns.1 - columns.0, height: rows.1 - rows.0 }
    }

    fn crop(&self, mask: &Mask) -> Mask {
        Mask::from_fn(self.width, self.height, |x, y| mask.get(self.left + x, self.top + y))
    }
}

/// The first occupied line and the one after the last; everything if none is.
fn occupied(lines: usize, mut used: impl FnMut(usize) -> bool) -> (usize, usize) {
    let first = (0..lines).find(|line| used(*line)).unwrap_or(0);
    let last = (first..lines).rfind(|line| used(*line)).unwrap_or(lines - 1);
    (first, last + 1)
}

/// The outline part of the mask scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SurfaceScores {
    /// 95th percentile Hausdorff distance in pixels; less is better.
    pub hd95_px: f64,
    /// Hausdorff distance in pixels; less is better.
    pub hd_px: f64,
    /// Normalised surface Dice in [0, 1]; more is better.
    pub nsd: f64,
    /// The tolerance that `nsd` was taken at.
    pub nsd_tolerance_px: f64,
}

impl SurfaceScores {
    /// Scores two outlines.
    ///
    /// # Errors
    /// [`MetricError::Tolerance`] unless the tolerance is finite and not negative.
    pub(super) fn new(distances: &SurfaceDistances, nsd_tolerance_px: f64) -> Result<Self, MetricError> {
        if !nsd_tolerance_px.is_finite() || nsd_tolerance_px < 0. {
            return Err(MetricError::Tolerance { found: nsd_tolerance_px });
        }
        let nsd = distances.nsd(nsd_tolerance_px);
        Ok(Self { hd95_px: distances.hd95_px(), hd_px: distances.hd_px(), nsd, nsd_tolerance_px })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::strategies::mask_pair;

    fn square(at: usize, side: usize) -> Mask {
        let span = at..at + side;
        Mask::from_fn(40, 30, |x, y| span.contains(&x) && span.contains(&y))
    }

    #[test]
    fn a_contour_is_the_rim_and_the_frame_counts_as_rim() {
        assert_eq!(contour(&square(5, 4)).area(), 12);
        assert_eq!(contour(&Mask::from_fn(5, 4, |_, _| true)).area(), 14);
        assert_eq!(contour(&Mask::from_fn(1, 1, |_, _| true)).area(), 1);
    }

    #[test]
    fn empty_masks_follow_the_convention() {
        let (empty, some) = (square(0, 0), square(5, 4));
        let scores = |a, b| SurfaceScores::new(&SurfaceDistances::between(a, b).unwrap(), 2.).unwrap();
        let worst = SurfaceScores { hd95_px: 50., hd_px: 50., nsd: 0., nsd_tolerance_px: 2. };
        assert_eq!(scores(&empty, &some), worst);
        assert_eq!(scores(&some, &empty), worst);
        assert_eq!(scores(&empty, &empty), SurfaceScores { hd95_px: 0., hd_px: 0., nsd: 1., nsd_tolerance_px: 2. });
    }

    #[test]
    fn a_tolerance_that_is_no_distance_is_refused() {
        let distances = SurfaceDistances::between(&square(5, 4), &square(6, 4)).unwrap();
        for found in [-1., f64::NAN, f64::INFINITY] {
            assert!(matches!(SurfaceScores::new(&distances, found), Err(MetricError::Tolerance { .. })), "{found}");
        }
    }

    proptest! {
        #[test]
        fn scores_are_symmetric_and_in_range((a, b) in mask_pair(), tolerance in 0. ..5_f64) {
            let [there, back] = [(&a, &b), (&b, &a)].map(|(p, r)| {
                SurfaceScores::new(&SurfaceDistances::between(p, r).unwrap(), tolerance).unwrap()
            });
            prop_assert_eq!(&there, &back);
            let diagonal = (a.width() as f64).hypot(a.height() as f64);
            prop_assert!(0. <= there.hd95_px && there.hd95_px <= there.hd_px && there.hd_px <= diagonal);
            prop_assert!((0. ..=1.).contains(&there.nsd));
        }

        #[test]
        fn a_mask_is_at_no_distance_from_itself((a, _) in mask_pair()) {
            let distances = SurfaceDistances::between(&a, &a).unwrap();
            prop_assert_eq!((distances.hd_px(), distances.nsd(0.)), (0., 1.));
        }
    }
}
