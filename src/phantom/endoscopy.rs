//! A polyp on folded mucosa, lit by the endoscope's own lamp.
//!
//! Mucosa, folds and polyp form one height field; its slopes give the shading and the wet highlights.

use crate::drawing::{Blob, Canvas, Draws, Frame, Noise, Point, bump, mix, ramp, tint};
use crate::imaging::{Image, Mask};

const MUCOSA: [[f32; 3]; 6] = [
    [0.90, 0.66, 0.62],
    [0.86, 0.56, 0.50],
    [0.84, 0.47, 0.38],
    [0.80, 0.38, 0.30],
    [0.88, 0.56, 0.36],
    [0.72, 0.48, 0.34],
];

pub fn draw(frame: Frame, draws: &mut Draws) -> (Image, Mask) {
    let scene = Scene::new(frame, draws);
    let mut canvas = Canvas::paint(frame, |p| scene.colour(p));
    if frame.unit() > 80. {
        canvas.blur(draws.count(0, 1));
    }
    let noise = draws.range(0.004, 0.02);
    canvas.add_noise(draws, noise, noise / 2.);
    let view = View::new(frame, draws);
    canvas.repaint(|p, colour| mix([0.02; 3], colour, view.open(p)));
    (canvas.finish(), frame.mask(|p| scene.polyp.level(p) < 1. && view.open(p) > 0.5))
}

/// Everything in front of the lens.
struct Scene {
    noise: Noise,
    polyp: Blob,
    dome: f32,
    lumen: Point,
    lumen_size: f32,
    folds: f32,
    fold_height: f32,
    roughness: f32,
    lamp: Point,
    falloff: f32,
    mucosa: [f32; 3],
    polyp_tint: [f32; 3],
    polyp_grain: f32,
    veins: f32,
    wetness: f32,
}

impl Scene {
    fn new(frame: Frame, draws: &mut Draws) -> Self {
        let share = 0.045 + 0.27 * draws.unit() * draws.unit();
        let aspect = draws.range(0.65, 1.);
        let radius = (share * frame.area() / std::f32::consts::PI).sqrt();
        let axes = (radius / aspect.sqrt(), radius * aspect.sqrt());
        let place = frame.place(draws, axes.0 * 1.15, 0.62);
        let polyp = Blob::ellipse(place, axes, draws.direction()).wobbling(draws, 4, 0.11);
        // The lumen lies away from the polyp, often out of sight.
        let away = draws.direction();
        let away = if away.dot(polyp.centre) > 0. { away * -1. } else { away };
        let lamp = draws.direction() * draws.range(0., 0.5);
        Self {
            noise: Noise::new(draws),
            dome: draws.range(0.25, 1.) * radius,
            lumen: polyp.centre + away * (axes.0 + draws.range(0.35, 1.3)),
            lumen_size: draws.range(0.05, 0.45),
            folds: draws.range(1.2, 3.2),
            fold_height: draws.range(0., 0.3),
            roughness: draws.range(0.04, 0.14),
            lamp,
            falloff: draws.range(0.08, 0.4),
            mucosa: draws.colour(&MUCOSA),
            polyp_tint: draws.colour(&[[1.04, 0.78, 0.76], [1.0, 0.98, 0.98], [1.12, 1.14, 1.06], [1.18, 1.3, 1.3]]),
            polyp_grain: draws.range(0.03, 0.16),
            veins: draws.range(0., 0.22),
            wetness: draws.range(0.3, 1.),
            polyp,
        }
    }

    fn height(&self, p: Point) -> f32 {
        let level = self.polyp.level(p);
        let away = p - self.lumen;
        let phase = away.length() * self.folds + 0.7 * self.noise.cloud(p * 1.3, 2);
        let ridge = 1. - 2. * (phase - phase.floor() - 0.5).abs();
        let bend = self.noise.cloud(p * 1.7 + Point { x: 9., y: 4. }, 2);
        let crest = ramp(0., 1., ridge) * ridge;
        let mucosa = self.fold_height * crest * ramp(-0.3, 0.4, bend)
            + self.roughness * self.noise.cloud(p * 3.1, 4)
            + 0.12 * bend;
        // Nearly half a ball, but its rim meets the mucosa at a finite angle.
        let inside = (1. - level * level).max(0.);
        let cap = self.dome * inside * (1.6 - 0.6 * inside) * (1. + 0.12 * self.noise.cloud(p * 6., 2));
        mucosa * ramp(0.5, 1.5, level).max(0.12) + cap
    }

    fn colour(&self, p: Point) -> [f32; 3] {
        const STEP: f32 = 0.012;
        let here = self.height(p);
        let slope_x = (self.height(p + Point { x: STEP, y: 0. }) - here) / STEP;
        let slope_y = (self.height(p + Point { x: 0., y: STEP }) - here) / STEP;
        let upright = 1. / (1. + slope_x * slope_x + slope_y * slope_y).sqrt();
        // Light comes from `lamp`, one unit above the tissue.
        let ray = self.lamp - p * 0.6;
        let cosine = (upright * (1. - slope_x * ray.x - slope_y * ray.y) / (1. + ray.dot(ray)).sqrt()).max(0.);
        let distance = (p - self.lamp).length();
        let depth = ramp(0., 1.3 * self.lumen_size + 0.3, (p - self.lumen).length() - self.lumen_size * 0.5);
        let light = (0.38 + 0.75 * cosine) / (1. + self.falloff * distance * distance) * (0.12 + 0.88 * depth);

        let level = self.polyp.level(p);
        let polyp = ramp(1.04, 0.9, level);
        let blotch = self.noise.cloud(p * 2.3 + Point { x: 3., y: 11. }, 3);
        let fine = self.noise.cloud(p * 19., 3);
        let vein = self.veins * self.noise.veins(p * 3.4, 0.09) * (1. - 0.7 * polyp);
        let mucosa = tint(self.mucosa, [1. + 0.08 * blotch, 1. + 0.16 * blotch - vein, 1. + 0.15 * blotch - vein]);
        let polyp_colour = tint(tint(mucosa, self.polyp_tint), [1. + self.polyp_grain * fine * 2.; 3]);
        // The polyp shades the mucosa behind it, seen from the lamp.
        let behind = ramp(-0.4, 0.8, (p - self.polyp.centre).dot(self.polyp.centre - self.lamp) / self.dome.max(0.1));
        let shadow = 1. - (0.08 + 0.3 * behind) * bump(level - 1.08, 0.24) * ramp(0.98, 1.04, level);
        let colour = tint(mix(mucosa, polyp_colour, polyp), [light * shadow * (1. + 0.03 * fine); 3]);
        mix(colour, [1., 0.98, 0.95], self.highlight(p, cosine, depth))
    }

    /// The mirror image of the lamp on wet tissue: steep in the angle, broken up by fine relief.
    fn highlight(&self, p: Point, cosine: f32, depth: f32) -> f32 {
        let power = |x: f32, doublings: usize| (0..doublings).fold(x, |x, _| x * x);
        let wet = self.noise.cloud(p * 11. + Point { x: 5., y: 2. }, 3);
        let drop = ramp(0.50, 0.60, self.noise.cloud(Point { x: p.x * 9., y: p.y * 15. }, 2) + 0.1 * wet);
        let facing = ramp(0.75, 1.1, self.noise.cloud(p * 1.1 + Point { x: 21., y: 8. }, 2) + cosine);
        let glare = power(cosine.min(1.), 5) * ramp(0.25, 0.5, wet);
        (self.wetness * (0.95 * glare + drop * facing) * depth).min(1.)
    }
}

/// The part of the picture that the endoscope's frame leaves open.
struct View {
    corner: Point,
    /// How much of the corners is cut: the octagon `|x| + |y| < cut` in units of the half sides.
    cut: f32,
    /// Radius of a round frame in units of the half diagonal; large means none.
    round: f32,
    /// Width and height of the black inset at the lower left.
    inset: Point,
}

impl View {
    fn new(frame: Frame, draws: &mut Draws) -> Self {
        let octagon = draws.chance(0.7);
        let inset = draws.chance(0.3);
        Self {
            corner: frame.corner(),
            cut: if octagon { draws.range(1.45, 1.7) } else { 3. },
            round: if octagon { 2. } else { draws.range(0.8, 1.1) },
            inset: if inset {
                Point { x: draws.range(0.2, 0.6), y: draws.range(0.2, 0.6) }
            } else {
                Point { x: -1., y: -1. }
            },
        }
    }

    /// 1 where tissue is seen, 0 where the frame covers it.
    fn open(&self, p: Point) -> f32 {
        let Point { x, y } = self.corner;
        let octagon = ramp(self.cut + 0.012, self.cut - 0.012, p.x.abs() / x + p.y.abs() / y);
        let round = ramp(self.round + 0.02, self.round - 0.02, p.length() / self.corner.length());
        let covered = p.x < self.inset.x - x && p.y > y - self.inset.y;
        octagon * round * if covered { 0. } else { 1. }
    }
}
