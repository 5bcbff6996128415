//! Brightness, contrast, gamma and saturation, each in both directions. Levels have full scale 1.

use super::Severity;
use crate::drawing::{Canvas, Draws};

/// What is added to, or taken from, every level.
const SHIFT: [f32; 5] = [0.08, 0.15, 0.22, 0.30, 0.40];
/// How much farther levels are from their mean.
const STRONGER: [f32; 5] = [1.3, 1.6, 2.0, 2.7, 3.6];
/// How much nearer levels are to their mean.
const WEAKER: [f32; 5] = [0.75, 0.60, 0.45, 0.30, 0.18];
/// The exponent, and its reciprocal in the other direction.
const GAMMA: [f32; 5] = [1.3, 1.6, 2.0, 2.5, 3.2];

pub(super) fn brightness_up(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    shift(canvas, severity.of(SHIFT));
}

pub(super) fn brightness_down(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    shift(canvas, -severity.of(SHIFT));
}

pub(super) fn contrast_up(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    stretch(canvas, severity.of(STRONGER));
}

pub(super) fn contrast_down(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    stretch(canvas, severity.of(WEAKER));
}

pub(super) fn gamma_up(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    bend(canvas, severity.of(GAMMA));
}

pub(super) fn gamma_down(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    bend(canvas, 1. / severity.of(GAMMA));
}

pub(super) fn saturation_up(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    saturate(canvas, severity.of(STRONGER));
}

pub(super) fn saturation_down(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    saturate(canvas, severity.of([0.75, 0.55, 0.35, 0.15, 0.]));
}

fn shift(canvas: &mut Canvas, by: f32) {
    canvas.pixels_mut().as_flattened_mut().iter_mut().for_each(|v| *v += by);
}

/// About the mean level of each channel.
fn stretch(canvas: &mut Canvas, factor: f32) {
    canvas.each_channel(|channel| {
        let mean = (channel.iter().map(|v| f64::from(*v)).sum::<f64>() / channel.len() as f64) as f32;
        channel.iter_mut().for_each(|v| *v = mean + (*v - mean) * factor);
    });
}

fn bend(canvas: &mut Canvas, exponent: f32) {
    canvas.pixels_mut().as_flattened_mut().iter_mut().for_each(|v| *v = v.powf(exponent));
}

/// About the luma of the pixel (ITU-R BT.601).
fn saturate(canvas: &mut Canvas, factor: f32) {
    for pixel in canvas.pixels_mut() {
        let [r, g, b] = *pixel;
        let grey = 0.299 * r + 0.587 * g + 0.114 * b;
        *pixel = pixel.map(|v| grey + (v - grey) * factor);
    }
}
