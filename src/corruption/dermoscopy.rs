//! What lies on the skin and around the field of view.

use super::Severity;
use crate::drawing::{Canvas, Draws, Point, mix, ramp};

const HAIRS: [usize; 5] = [4, 10, 18, 30, 46];
/// Height of the ruler, as a share of the picture's.
const RULER: [f32; 5] = [0.05, 0.08, 0.11, 0.15, 0.20];
/// Where the picture begins to darken and where it is dark, in half diagonals from its middle.
const TUBE: [(f32, f32); 5] = [(0.75, 1.7), (0.65, 1.4), (0.6, 1.15), (0.55, 1.), (0.5, 0.85)];

/// Dark hairs that lie about one way.
pub(super) fn hair(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let frame = canvas.frame();
    let colour = draws.colour(&[[0.35, 0.25, 0.2], [0.2, 0.14, 0.12], [0.06, 0.05, 0.05]]);
    let way = draws.direction();
    for _ in 0..severity.of(HAIRS) {
        let (curve, width) = frame.hair(draws, way);
        canvas.stroke(curve, width, colour);
    }
}

/// A white strip with black marks, every fifth of them longer.
pub(super) fn ruler(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let Point { y, .. } = canvas.frame().corner();
    let edge = y - 2. * y * severity.of(RULER);
    let (gap, offset) = (draws.range(0.08, 0.12), draws.unit());
    canvas.repaint(|p, colour| {
        let marks = p.x / gap + offset;
        let long = (marks.round() as i64).rem_euclid(5) == 0;
        let reach = (y - edge) * if long { 0.7 } else { 0.4 };
        let beside = (marks - marks.round()).abs() * gap;
        let ink = if p.y - edge < reach { ramp(0.012, 0.006, beside) } else { 0. };
        let strip = mix([0.92, 0.92, 0.9], [0.08; 3], ink);
        mix(colour, strip, ramp(edge - 0.008, edge + 0.008, p.y))
    });
}

/// The corners darken.
pub(super) fn vignette(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    let (inner, outer) = severity.of(TUBE);
    canvas.vignette(inner, outer);
}
