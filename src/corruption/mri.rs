//! Coils and motion in magnetic resonance.

use super::Severity;
use crate::drawing::{Canvas, Draws, Frame, Noise, Point, tint};

/// How far the coil's sensitivity is from even.
const BIAS: [f32; 5] = [0.2, 0.35, 0.5, 0.7, 0.9];
/// Share of the signal that goes to ghosts.
const GHOSTS: [f32; 5] = [0.08, 0.15, 0.24, 0.35, 0.48];

/// Multiplied by a smooth field with about one hill and one valley.
pub(super) fn bias_field(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let strength = severity.of(BIAS);
    let noise = Noise::new(draws);
    let place = Point { x: draws.range(5., 55.), y: draws.range(5., 55.) };
    canvas.repaint(|p, colour| tint(colour, [(1. + strength * noise.at(p * 0.8 + place)).max(0.05); 3]));
}

/// Copies shifted by a half, a third or a quarter of the height both ways take a share of the signal; what leaves the
/// picture comes in again on the other side, as aliasing has it.
pub(super) fn ghosting(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let share = severity.of(GHOSTS);
    let parts = draws.count(2, 4);
    let Frame { width, height } = canvas.frame();
    let shift = height / parts;
    let sharp = canvas.pixels().to_vec();
    for (at, pixel) in canvas.pixels_mut().iter_mut().enumerate() {
        let (x, y) = (at % width, at / width);
        let (above, below) = ((y + height - shift) % height, (y + shift) % height);
        let ghosts = [sharp[above * width + x], sharp[below * width + x]];
        *pixel = std::array::from_fn(|c| (1. - share) * pixel[c] + share * (ghosts[0][c] + ghosts[1][c]) / 2.);
    }
}
