//! The nearest point against all lines that the sum of changes can be on, and against points nearby.

use proptest::prelude::*;

use super::*;

/// A problem: the point, the clean image, radius, region, range.
#[derive(Debug, Clone)]
struct Case {
    x: Vec<f32>,
    clean: Vec<f32>,
    radius: f64,
    region: Option<Vec<f32>>,
    range: Option<(f64, f64)>,
}

impl Case {
    fn solve(&self, x: &[f32]) -> Vec<f32> {
        nearest(x, (&self.clean, self.radius), self.region.as_deref(), self.range)
    }

    fn allows(&self, entry: usize) -> bool {
        self.region.as_ref().is_none_or(|region| region[entry] != 0.)
    }

    /// By how much an entry has to change, and how far it can.
    fn bounds(&self, entry: usize) -> (f64, f64) {
        let (from, to) = (f64::from(self.clean[entry]), f64::from(self.x[entry]));
        let room = self.range.map_or(f64::INFINITY, |(low, high)| if to > from { high - from } else { from - low });
        if self.allows(entry) { ((to - from).abs(), room) } else { (0., 0.) }
    }

    /// The changes of the nearest point: of all intervals between two bends the one whose line meets the radius.
    fn by_enumeration(&self) -> Vec<f64> {
        let bounds: Vec<_> = (0..self.x.len()).map(|entry| self.bounds(entry)).collect();
        let at = |cut: f64| bounds.iter().map(|(far, room)| (far - cut).clamp(0., *room)).collect::<Vec<_>>();
        let sum = |cut| at(cut).iter().sum::<f64>();
        if sum(0.) <= self.radius {
            return at(0.);
        }
        let mut bends: Vec<f64> = bounds.iter().flat_map(|(far, room)| [*far, far - room]).collect();
        bends.push(0.);
        bends.retain(|bend| (0. ..f64::INFINITY).contains(bend));
        bends.sort_by(f64::total_cmp);
        let next = bends.iter().position(|bend| sum(*bend) <= self.radius).unwrap();
        let (left, right) = (bends[next - 1], bends[next]);
        let (above, below) = (sum(left), sum(right));
        at(left + (right - left) * (above - self.radius) / (above - below))
    }

    fn distance(&self, x: &[f32]) -> f64 {
        x.iter().zip(&self.x).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>()
    }

    fn size(&self, x: &[f32]) -> f64 {
        x.iter().zip(&self.clean).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs()).sum()
    }
}

fn cases() -> impl Strategy<Value = Case> {
    // Values on a coarse grid too: ties, and entries at the ends of the range.
    let value = || prop_oneof![0f32..1., (0u8..5).prop_map(|n| f32::from(n) / 4.)];
    let far = prop_oneof![Just(0f32), -0.3f32..0.3, -3f32..3.];
    (prop::collection::vec((value(), far, any::<bool>()), 1..40), 0f64..1.2, any::<bool>(), any::<bool>()).prop_map(
        |(entries, share, region, range)| {
            let clean: Vec<f32> = entries.iter().map(|(clean, ..)| *clean).collect();
            let x: Vec<f32> = entries.iter().map(|(clean, change, _)| clean + change).collect();
            let radius = share * entries.iter().map(|(_, change, _)| f64::from(change.abs())).sum::<f64>() / 2.;
            let region = region.then(|| entries.iter().map(|(.., allowed)| f32::from(*allowed)).collect());
            Case { x, clean, radius, region, range: range.then_some((0., 1.)) }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_is_the_point_that_enumeration_finds(case in cases()) {
        let found = case.solve(&case.x);
        for (entry, wanted) in case.by_enumeration().into_iter().enumerate() {
            let change = (f64::from(found[entry]) - f64::from(case.clean[entry])).abs();
            prop_assert!((change - wanted).abs() < 1e-6, "entry {entry}: {change} and not {wanted}");
        }
    }

    #[test]
    fn it_is_in_ball_box_and_region_and_stays_where_it_is(case in cases()) {
        let found = case.solve(&case.x);
        prop_assert!(case.size(&found) <= case.radius * (1. + 1e-12), "{} in {}", case.size(&found), case.radius);
        for (entry, value) in found.iter().enumerate() {
            prop_assert!(case.range.is_none() || (0. ..=1.).contains(value));
            prop_assert!(case.allows(entry) || value.to_bits() == case.clean[entry].to_bits());
        }
        let again = case.solve(&found);
        let apart = |(a, b): (&f32, &f32)| (a - b).abs();
        prop_assert!(found.iter().zip(&again).map(apart).fold(0., f32::max) <= 1e-7);
    }

    #[test]
    fn no_point_of_the_set_is_nearer(
        case in cases(), weights in prop::collection::vec(-1f64..1., 40), reach in 0f64..1., towards in any::<bool>(),
    ) {
        let found = case.solve(&case.x);
        // A point of the set in a random direction, or a bit of the way to it: with the found one all between are in it.
        let other: Vec<f32> = (0..found.len()).map(|entry| {
            let from = f64::from(case.clean[entry]);
            let change = if case.allows(entry) { weights[entry] } else { 0. };
            let (low, high) = case.range.unwrap_or((from - 1., from + 1.));
            (from + change).clamp(low, high) as f32
        }).collect();
        let scale = (case.radius / case.size(&other).max(1e-12)).min(1.) * if towards { reach } else { 1. };
        let other: Vec<f32> = (other.iter().zip(&case.clean))
            .map(|(x, clean)| (f64::from(*clean) + (f64::from(*x) - f64::from(*clean)) * scale) as f32).collect();
        let between: Vec<f32> = found.iter().zip(&other).map(|(a, b)| a + (b - a) * reach as f32).collect();
        let best = case.distance(&found);
        prop_assert!(best <= case.distance(&other) + 1e-5 && best <= case.distance(&between) + 1e-5);
    }

    #[test]
    fn an_infinite_radius_only_clamps(case in cases()) {
        let case = Case { radius: f64::INFINITY, ..case };
        for (entry, value) in case.solve(&case.x).into_iter().enumerate() {
            let wanted = if case.range.is_some() { case.x[entry].clamp(0., 1.) } else { case.x[entry] };
            prop_assert_eq!(value, if case.allows(entry) { wanted } else { case.clean[entry] });
        }
    }
}

#[test]
fn to_cut_to_the_ball_and_then_to_the_box_would_waste_budget() {
    // The first entry has room for 0.1 only: the second one gets what it cannot use.
    let found = nearest(&[3., 2.], (&[0.9, 0.], 0.5), None, Some((0., 1.)));
    assert_eq!(found[0], 1.);
    assert!((found[1] - 0.4).abs() < 1e-6, "{found:?}");
    let open = nearest(&[3., 2.], (&[0.9, 0.], 0.5), None, None);
    assert!((open[0] - 1.2).abs() < 1e-6 && (open[1] - 0.2).abs() < 1e-6, "{open:?}");
    assert_eq!(nearest(&[3., 2.], (&[0.9, 0.], 0.), None, None), [0.9, 0.]);
}

fn image(values: &[f32]) -> Tensor {
    Tensor::from_slice(values, (3, 1, values.len() / 3), &Device::Cpu).unwrap()
}

#[test]
fn a_sparse_direction_has_length_one_and_the_largest_slopes() {
    let gradient = image(&[0.1, -5., 0.2, 3., -0.3, 0.]);
    let direction = |share, entries| values(&sparse_direction(&gradient, share, entries).unwrap()).unwrap();
    assert_eq!(direction(0.01, 6.), [0., -1., 0., 0., 0., 0.]);
    assert_eq!(direction(0.34, 6.), [0., -0.33333334, 0., 0.33333334, -0.33333334, 0.]);
    // what has no slope does not move, and takes no length
    assert_eq!(direction(1., 6.), [0.2, -0.2, 0.2, 0.2, -0.2, 0.]);
    // a share of what may change: three of these
    assert_eq!(direction(0.5, 4.), [0., -0.5, 0., 0.5, 0., 0.]);
    assert_eq!(values(&sparse_direction(&image(&[0.; 6]), 0.5, 6.).unwrap()).unwrap(), [0.; 6]);
    // equals move together
    let ties = sparse_direction(&image(&[1., -1., 1., 1., 0., 0.]), 0.01, 6.).unwrap();
    assert_eq!(values(&ties).unwrap(), [0.25, -0.25, 0.25, 0.25, 0., 0.]);
}

#[test]
fn entries_at_an_end_of_the_range_are_not_pressed_against_it() {
    let (x, gradient) = (image(&[0., 0., 1., 1., 0.5, 0.5]), image(&[-1., 2., 3., -4., -5., 6.]));
    let free = where_free(&x, &gradient, (0., 1.)).unwrap();
    assert_eq!(values(&free).unwrap(), [0., 2., 0., -4., -5., 6.]);
}

#[test]
fn another_shape_is_refused() {
    let error = project(&image(&[0.; 6]), (&image(&[0.; 3]), 1.), None, None).unwrap_err().to_string();
    assert!(error.contains("no nearest one"), "{error}");
}
