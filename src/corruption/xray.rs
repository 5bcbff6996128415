//! Dose and grid. Dense tissue is bright, as radiographs are shown.

use super::Severity;
use crate::drawing::{Canvas, Draws, tint};

/// How far all levels fall or rise.
const DOSE: [f32; 5] = [0.08, 0.15, 0.22, 0.30, 0.40];
/// Standard deviation of the mottle of a low dose, where the picture is white.
const MOTTLE: [f32; 5] = [0.02, 0.04, 0.06, 0.09, 0.13];
/// Half the difference between a line and the gap beside it, relative to the level.
const LINES: [f32; 5] = [0.04, 0.08, 0.13, 0.20, 0.30];
/// Distance of two lines, as a share of the short side, and in pixels at least.
const PITCH: (f32, f32) = (0.015, 4.);

/// Air saturates first: levels fall and are cut at black.
pub(super) fn overexposure(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    let fall = severity.of(DOSE);
    canvas.pixels_mut().as_flattened_mut().iter_mut().for_each(|v| *v -= fall);
}

/// Levels rise; where little radiation arrives, that is where the picture is bright, its quanta are counted.
pub(super) fn underexposure(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let (rise, mottle) = (severity.of(DOSE), severity.of(MOTTLE));
    for pixel in canvas.pixels_mut() {
        let quantum = mottle * draws.gaussian();
        *pixel = pixel.map(|v| v + rise + quantum * v.max(0.).sqrt());
    }
}

/// Fine parallel lines, nearly upright.
pub(super) fn grid_lines(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let depth = severity.of(LINES);
    let unit = canvas.frame().unit();
    let pitch = (PITCH.0 * 2. * unit).max(PITCH.1) / unit;
    let (tilt, offset) = (draws.range(-0.03, 0.03), draws.unit());
    canvas.repaint(|p, colour| {
        let phase = (p.x + tilt * p.y) / pitch + offset;
        // A triangle from -1 to 1.
        let wave = 4. * (phase - phase.floor() - 0.5).abs() - 1.;
        tint(colour, [1. + depth * wave; 3])
    });
}
