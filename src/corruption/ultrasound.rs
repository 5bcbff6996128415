//! Sound that interferes, is kept away, or is amplified wrongly. The probe is at the upper border.

use super::Severity;
use crate::drawing::{Canvas, Draws, Point, bump, ramp, tint};

/// Share of the echo that interference makes.
const SPECKLE: [f32; 5] = [0.20, 0.35, 0.50, 0.70, 0.95];
/// Shadows, their width beside the widest, and how much of the sound is kept away.
const SHADOWS: [(usize, f32, f32); 5] = [(1, 0.6, 0.4), (1, 0.8, 0.6), (2, 0.8, 0.7), (2, 1., 0.85), (3, 1., 0.95)];
/// How far the gain of a depth may be off, relative to the right one.
const GAIN: [f32; 5] = [0.15, 0.30, 0.45, 0.60, 0.80];
/// Sliders of the gain over the depth, as scanners have them.
const SLIDERS: usize = 8;

/// Multiplied by a Rayleigh distributed amplitude in cells of about a hundredth of the short side.
pub(super) fn speckle(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let share = severity.of(SPECKLE);
    let frame = canvas.frame();
    let cell = (frame.unit() / 100. + 0.5) as usize;
    let amplitudes = frame.speckle(draws, (cell + 1, cell));
    for (pixel, amplitude) in canvas.pixels_mut().iter_mut().zip(amplitudes) {
        *pixel = tint(*pixel, [1. - share + share * amplitude; 3]);
    }
}

/// Dark bands that begin somewhere below the probe and widen with the depth.
pub(super) fn acoustic_shadow(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let (count, scale, kept_away) = severity.of(SHADOWS);
    let corner = canvas.frame().corner();
    let shadows: Vec<(Point, f32, f32)> = (0..count)
        .map(|_| {
            let top = Point { x: corner.x * draws.range(-0.7, 0.7), y: corner.y * draws.range(-0.9, -0.3) };
            (top, scale * draws.range(0.15, 0.3), draws.range(-0.2, 0.2))
        })
        .collect();
    canvas.repaint(|p, colour| {
        let dark = shadows.iter().map(|(top, width, slant)| {
            let depth = p.y - top.y;
            let beside = p.x - top.x - slant * depth;
            ramp(0., 0.15, depth) * bump(beside, width * (1. + 0.25 * depth.max(0.)))
        });
        tint(colour, [1. - kept_away * dark.fold(0., f32::max); 3])
    });
}

/// Every depth has a gain of its own, between those of the two nearest sliders.
pub(super) fn gain(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let off = severity.of(GAIN);
    let sliders: Vec<f32> = (0..SLIDERS).map(|_| 1. + off * draws.range(-1., 1.)).collect();
    let y = canvas.frame().corner().y;
    canvas.repaint(|p, colour| {
        let at = ((p.y + y) / (2. * y)).clamp(0., 1.) * (SLIDERS - 1) as f32;
        let above = (at as usize).min(SLIDERS - 2);
        let t = ramp(0., 1., at - above as f32);
        tint(colour, [sliders[above] * (1. - t) + sliders[above + 1] * t; 3])
    });
}
