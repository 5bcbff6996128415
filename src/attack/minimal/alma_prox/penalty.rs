//! The penalty of an augmented Lagrangian method, of which only the slope is needed.

/// The slope in `y` of the penalty
///
/// `P(y) = mu y + mu rho y^2 + rho^2 y^3 / 6` for `y >= 0`, `mu y / (1 - max(1, rho) y)` below,
///
/// which is convex, rises everywhere, and has the slope `mu` at 0: Rony et al. 2021, arXiv 2011.11857, section 3.
pub(super) fn slope(y: f64, mu: f64, rho: f64) -> f64 {
    if y >= 0. { mu + 2. * mu * rho * y + rho * rho * y * y / 2. } else { mu / (1. - rho.max(1.) * y).powi(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(y: f64, mu: f64, rho: f64) -> f64 {
        if y >= 0. { mu * y + mu * rho * y * y + rho * rho * y.powi(3) / 6. } else { mu * y / (1. - rho.max(1.) * y) }
    }

    #[test]
    fn it_is_the_derivative_and_never_falls() {
        for (mu, rho) in [(1., 0.01), (0.3, 2.), (1e-3, 7.)] {
            let mut before = 0.;
            for step in -300..300 {
                let y = f64::from(step) / 100. + 0.003;
                let found = slope(y, mu, rho);
                let wanted = (value(y + 1e-6, mu, rho) - value(y - 1e-6, mu, rho)) / 2e-6;
                assert!((found - wanted).abs() < 1e-4 * (1. + wanted), "{y} {mu} {rho}: {found} and {wanted}");
                assert!(found >= before);
                before = found;
            }
            assert_eq!(slope(0., mu, rho), mu);
        }
    }
}
