//! Wet tissue before a lamp and a lens.

use super::Severity;
use crate::drawing::{Blob, Canvas, Draws, Frame, Point, bump, mix, ramp};

/// Highlights, and how large they are beside the largest.
const HIGHLIGHTS: [(usize, f32); 5] = [(6, 0.5), (10, 0.6), (16, 0.7), (24, 0.85), (34, 1.)];
/// Bubbles, and how large they are beside the largest.
const BUBBLES: [(usize, f32); 5] = [(3, 0.5), (6, 0.6), (10, 0.7), (16, 0.85), (24, 1.)];
/// Darker than this is the frame, or out of the lamp's reach: nothing shines there.
const DARK: f32 = 0.1;
/// Places that are looked at for one highlight.
const TRIES: usize = 8;

/// White spots with a soft rim, on tissue that is lit.
pub(super) fn specular_highlights(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let (count, scale) = severity.of(HIGHLIGHTS);
    let spots: Vec<Blob> = (0..count)
        .map(|_| {
            let centre = lit_place(canvas, draws);
            let radius = scale * draws.range(0.02, 0.09);
            let shape = Blob::ellipse(centre, (radius, radius * draws.range(0.3, 0.9)), draws.direction());
            shape.wobbling(draws, 4, 0.3)
        })
        .collect();
    canvas.repaint(|p, colour| {
        let near = spots.iter().filter(|spot| (p - spot.centre).length() < 3. * spot.axes.0);
        let share = near.map(|spot| ramp(1.3, 0.7, spot.level(p))).fold(0., f32::max);
        mix(colour, [1., 0.99, 0.97], share)
    });
}

/// A place that is lit, if one is found: always the same number of draws.
fn lit_place(canvas: &Canvas, draws: &mut Draws) -> Point {
    let frame = canvas.frame();
    let places: Vec<Point> = (0..TRIES).map(|_| frame.place(draws, 0., 1.)).collect();
    let lit = |p: &&Point| level(canvas, frame, **p) > DARK;
    *places.iter().find(lit).unwrap_or(&places[0])
}

fn level(canvas: &Canvas, frame: Frame, p: Point) -> f32 {
    let corner = frame.corner();
    let pixel = |c: f32, half: f32, side: usize| ((((c + half) * frame.unit()).max(0.)) as usize).min(side - 1);
    let at = pixel(p.y, corner.y, frame.height) * frame.width + pixel(p.x, corner.x, frame.width);
    canvas.pixels()[at].iter().sum::<f32>() / 3.
}

/// Discs with a bright rim and a reflection, through which the tissue is still seen.
pub(super) fn bubbles(canvas: &mut Canvas, severity: Severity, draws: &mut Draws) {
    let (count, scale) = severity.of(BUBBLES);
    let frame = canvas.frame();
    let bubbles: Vec<(Point, f32)> =
        (0..count).map(|_| (frame.place(draws, 0., 1.), scale * draws.range(0.05, 0.2))).collect();
    canvas.repaint(|p, colour| {
        bubbles.iter().fold(colour, |colour, (centre, radius)| {
            let q = p - *centre;
            let level = q.length() / radius;
            if level > 1.2 {
                return colour;
            }
            let film = 0.25 * ramp(1.02, 0.98, level);
            let rim = 0.8 * bump(level - 1., 0.18);
            let reflection = 0.95 * bump((q - Point { x: -0.4, y: -0.4 } * *radius).length() / radius, 0.3);
            mix(colour, [0.95, 0.93, 0.9], film.max(rim).max(reflection))
        })
    });
}
