//! The proximal step of the L-infinity norm in a diagonal metric.

/// Halvings of the interval in which the norm is searched: more than f32 has digits.
const HALVINGS: usize = 40;

/// The norm of the point that minimises `lambda ||u||_inf + 1/2 sum_j H_j (u_j - delta_j)^2` over all `u` between 0 and
/// `boxed`, entry by entry: the minimiser is `boxed` cut to it.
///
/// `boxed` is `delta` cut to the box. Along the norm `t` the objective is convex with the slope
/// `lambda - sum_{|boxed_j| > t} H_j (|delta_j| - t)`, whose zero is found by bisection. Rony et al. 2023, arXiv
/// 2206.07179, section 3.2, where a ternary search looks at the objective itself.
pub(super) fn norm(delta: &[f32], boxed: &[f32], metric: &[f32], lambda: f64) -> f64 {
    let slope = |t: f64| {
        let pull = delta.iter().zip(boxed).zip(metric).map(|((delta, boxed), metric)| {
            let beyond = f64::from(delta.abs()) - t;
            if f64::from(boxed.abs()) > t { f64::from(*metric) * beyond } else { 0. }
        });
        lambda - pull.sum::<f64>()
    };
    let largest = f64::from(boxed.iter().fold(0f32, |largest, entry| largest.max(entry.abs())));
    let (mut low, mut high) = (0., largest);
    if slope(low) >= 0. {
        return 0.;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if slope(middle) < 0. { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The objective at the point of norm `t`.
    fn objective(delta: &[f32], boxed: &[f32], metric: &[f32], lambda: f64, t: f64) -> f64 {
        let distance = |((delta, boxed), metric): ((&f32, &f32), &f32)| {
            let u = f64::from(*boxed).clamp(-t, t);
            f64::from(*metric) * (u - f64::from(*delta)).powi(2)
        };
        lambda * t + delta.iter().zip(boxed).zip(metric).map(distance).sum::<f64>() / 2.
    }

    #[test]
    fn no_other_norm_is_better() {
        let wave = |seed: f32| (0..30).map(|i| (i as f32 * 1.7 + seed).sin() * 0.1).collect::<Vec<_>>();
        let delta = wave(0.3);
        let metric: Vec<f32> = wave(2.).iter().map(|h| h.abs() * 20. + 0.01).collect();
        let boxed: Vec<f32> = delta.iter().map(|entry| entry.clamp(-0.05, 0.08)).collect();
        for lambda in [1e-4, 0.01, 0.1, 0.5, 5.] {
            let found = norm(&delta, &boxed, &metric, lambda);
            let at = |t| objective(&delta, &boxed, &metric, lambda, t);
            for k in 0..=1000 {
                let t = f64::from(k) * 1e-4;
                assert!(at(found) <= at(t) + 1e-12, "{lambda}: {found} is worse than {t}");
            }
        }
        assert_eq!(norm(&delta, &boxed, &metric, 100.), 0.);
        assert!((norm(&delta, &boxed, &metric, 0.) - 0.08).abs() < 1e-6, "free, it is the box");
        assert_eq!(norm(&[0.; 3], &[0.; 3], &[1.; 3], 0.1), 0.);
    }
}
