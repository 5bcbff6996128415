//! Noise of sensors. Standard deviations are shares of full scale.

use super::Severity;
use crate::drawing::{Canvas, Draws};

/// Standard deviation of additive noise.
pub(super) const DEVIATION: [f32; 5] = [0.03, 0.06, 0.10, 0.16, 0.24];
/// Photons that a white pixel counts.
pub(super) const PHOTONS: [f32; 5] = [200., 80., 40., 20., 10.];
/// Standard deviation relative to the level.
const RELATIVE: [f32; 5] = [0.10, 0.18, 0.28, 0.42, 0.60];

/// `v + n`, n normal.
pub(super) fn gaussian(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let deviation = severity.of(DEVIATION);
    each(canvas, |v| v + deviation * draws.gaussian());
}

/// Photons counted: Poisson with mean `photons v`, over `photons`.
///
/// Each pixel has one uniform number for all severities, so that more photons make the same error smaller.
pub(super) fn shot(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let photons = severity.of(PHOTONS);
    each(canvas, |v| poisson(photons * v, draws.unit()) as f32 / photons);
}

/// `v (1 + n)`, n normal.
pub(super) fn speckle(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let relative = severity.of(RELATIVE);
    each(canvas, |v| v * (1. + relative * draws.gaussian()));
}

/// `|v + n1 + i n2|`: the magnitude of a complex signal with normal noise in both parts (Gudbjartsson and Patz, *The
/// Rician Distribution of Noisy MRI Data*, 1995). A grey picture stays grey.
pub(super) fn rician(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let deviation = severity.of(DEVIATION);
    for pixel in canvas.pixels_mut() {
        let (real, imaginary) = (deviation * draws.gaussian(), deviation * draws.gaussian());
        *pixel = pixel.map(|v| ((v + real) * (v + real) + imaginary * imaginary).sqrt());
    }
}

fn each(canvas: &mut Canvas, mut change: impl FnMut(f32) -> f32) {
    canvas.pixels_mut().as_flattened_mut().iter_mut().for_each(|v| *v = change(*v));
}

/// The Poisson number of this mean, up to a few hundred, at which the cumulative distribution passes `uniform`.
pub(super) fn poisson(mean: f32, uniform: f32) -> u32 {
    let (mean, uniform) = (f64::from(mean), f64::from(uniform));
    let mut share = (-mean).exp();
    let (mut sum, mut count) = (share, 0u32);
    // `uniform` is a multiple of 2^-24: far beyond the mean the sum has passed it, or will never.
    while sum <= uniform && f64::from(count) < 20. + 10. * mean {
        count += 1;
        share *= mean / f64::from(count);
        sum += share;
    }
    count
}
