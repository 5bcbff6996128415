//! A pigmented lesion on skin under a dermatoscope.

use crate::drawing::{Blob, Canvas, Draws, Frame, Noise, Point, bump, mix, ramp, tint};
use crate::imaging::{Image, Mask};

const SKIN: [[f32; 3]; 7] = [
    [0.86, 0.82, 0.86],
    [0.84, 0.80, 0.77],
    [0.86, 0.72, 0.67],
    [0.80, 0.63, 0.54],
    [0.93, 0.62, 0.34],
    [0.76, 0.56, 0.42],
    [0.55, 0.40, 0.31],
];

const STICKERS: [[f32; 3]; 4] = [[0.05, 0.45, 0.75], [0.90, 0.55, 0.12], [0.40, 0.78, 0.72], [0.85, 0.80, 0.30]];

pub fn draw(frame: Frame, draws: &mut Draws) -> (Image, Mask) {
    let noise = Noise::new(draws);
    let skin = Skin::new(draws);
    let lesion = Lesion::new(frame, draws);
    let mut canvas = Canvas::paint(frame, |p| lesion.over(p, &noise, skin.colour(p, &noise)));
    if draws.chance(0.2) {
        sticker(frame, draws, &mut canvas, &lesion, &noise);
    }
    if draws.chance(0.5) {
        hairs(frame, draws, &mut canvas, skin.tone);
    }
    if frame.unit() > 80. {
        canvas.blur(draws.count(0, 1));
    }
    let noise_level = draws.range(0.004, 0.016);
    canvas.add_noise(draws, noise_level, noise_level / 2.);
    vignette(draws, &mut canvas);
    (canvas.finish(), frame.mask(|p| lesion.level(p, &noise) < 1.))
}

struct Skin {
    tone: [f32; 3],
    creases: f32,
    crease_way: Point,
    freckles: f32,
    light: Point,
}

impl Skin {
    fn new(draws: &mut Draws) -> Self {
        Self {
            tone: draws.colour(&SKIN),
            creases: draws.range(0., 0.07),
            crease_way: draws.direction(),
            freckles: if draws.chance(0.35) { draws.range(0.05, 0.25) } else { 0. },
            light: draws.direction() * draws.range(0., 0.1),
        }
    }

    fn colour(&self, p: Point, noise: &Noise) -> [f32; 3] {
        // Two families of long thin furrows that cross each other.
        let furrow = |way: Point| {
            let q = Point { x: p.dot(way) * 3., y: p.dot(way.turned()) * 14. };
            noise.veins(q + noise_shift(way), 0.16)
        };
        let slanted = self.crease_way * 0.6 + self.crease_way.turned() * 0.8;
        let creases = self.creases * (furrow(self.crease_way) + furrow(slanted));
        let pink = 0.05 * noise.cloud(p * 1.4, 3);
        let freckle = self.freckles * ramp(0.34, 0.55, noise.cloud(p * 5.3 + Point { x: 2., y: 30. }, 2));
        let light = 1. + self.light.dot(p) + 0.05 * noise.cloud(p * 24., 3) - creases;
        tint(self.tone, [light * (1. + pink) - 0.4 * freckle, light * (1. - pink) - freckle, light - 1.4 * freckle])
    }
}

fn noise_shift(way: Point) -> Point {
    way * 13. + Point { x: 7., y: 19. }
}

struct Lesion {
    outline: Blob,
    raggedness: f32,
    /// Width of the rim over which the pigment fades, in units of the radius.
    rim: f32,
    light: [f32; 3],
    dark: [f32; 3],
    patches: f32,
    core: f32,
    network: f32,
    strength: f32,
    veil: Option<Point>,
}

impl Lesion {
    fn new(frame: Frame, draws: &mut Draws) -> Self {
        let share = 0.045 + 0.33 * draws.unit() * draws.unit();
        let aspect = draws.range(0.6, 1.);
        let radius = (share * frame.area() / std::f32::consts::PI).sqrt();
        let axes = (radius / aspect.sqrt(), radius * aspect.sqrt());
        let place = frame.place(draws, axes.0 * 1.2, 0.45);
        let wobble = draws.range(0.05, 0.2);
        let outline = Blob::ellipse(place, axes, draws.direction()).wobbling(draws, 6, wobble);
        let veil = draws.chance(0.25).then(|| outline.centre + draws.direction() * (0.4 * radius));
        Self {
            outline,
            raggedness: draws.range(0.02, 0.16),
            rim: draws.range(0.04, 0.3),
            light: draws.colour(&[[0.90, 0.72, 0.58], [0.82, 0.58, 0.40], [0.72, 0.50, 0.40]]),
            dark: draws.colour(&[[0.62, 0.40, 0.30], [0.45, 0.26, 0.20], [0.28, 0.20, 0.20]]),
            patches: draws.range(0.3, 1.2),
            core: draws.range(-0.2, 0.6),
            network: draws.range(0., 0.35),
            strength: draws.range(0.75, 1.),
            veil,
        }
    }

    /// Below 1 inside the mask.
    fn level(&self, p: Point, noise: &Noise) -> f32 {
        self.outline.level(p) + self.raggedness * noise.cloud(p * 7. + Point { x: 40., y: 1. }, 3)
    }

    /// The colour of `skin` with the lesion's pigment on top.
    fn over(&self, p: Point, noise: &Noise, skin: [f32; 3]) -> [f32; 3] {
        let level = self.level(p, noise);
        if level > 1. + self.rim {
            return skin;
        }
        let patch = self.patches * noise.cloud(p * 3.7 + Point { x: 11., y: 23. }, 3);
        let net = self.network * noise.cloud(p * 17., 2);
        let depth = (0.45 + patch + self.core * (0.6 - level) + net).clamp(0., 1.2);
        let mut pigment = tint(skin, mix(self.light, self.dark, depth));
        if let Some(centre) = self.veil {
            let share =
                0.55 * bump((p - centre).length() + 0.25 * self.outline.axes.1 * patch, 0.8 * self.outline.axes.1);
            pigment = mix(pigment, [0.38, 0.40, 0.48], share);
        }
        mix(skin, pigment, self.strength * ramp(1. + self.rim, 1. - self.rim, level))
    }
}

/// A round colour patch at the border, away from the lesion.
fn sticker(frame: Frame, draws: &mut Draws, canvas: &mut Canvas, lesion: &Lesion, noise: &Noise) {
    let colour = STICKERS[draws.count(0, STICKERS.len() - 1)];
    let way = draws.direction();
    let way = if way.dot(lesion.outline.centre) > 0. { way * -1. } else { way };
    let Point { x, y } = frame.corner();
    let radius = draws.range(0.35, 0.6);
    // On the border along `way`, pushed outwards by most of its radius.
    let reach = (x / way.x.abs().max(1e-3)).min(y / way.y.abs().max(1e-3)) + radius * 0.6;
    canvas.repaint(|p, below| {
        let weave = 1. + 0.12 * noise.cloud(p * 30., 2);
        let free = ramp(1.05, 1.2, lesion.level(p, noise) - lesion.rim);
        mix(below, tint(colour, [weave; 3]), free * ramp(radius, radius - 0.02, (p - way * reach).length()))
    });
}

fn hairs(frame: Frame, draws: &mut Draws, canvas: &mut Canvas, tone: [f32; 3]) {
    let colour = tint(tone, draws.colour(&[[0.55, 0.5, 0.45], [0.3, 0.22, 0.2], [0.1, 0.1, 0.1]]));
    let way = draws.direction();
    for _ in 0..draws.count(2, 22) {
        let (curve, width) = frame.hair(draws, way);
        canvas.stroke(curve, width, colour);
    }
}

/// The tube of the dermatoscope darkens the corners.
fn vignette(draws: &mut Draws, canvas: &mut Canvas) {
    let (inner, outer) = if draws.chance(0.35) {
        let outer = draws.range(0.82, 1.05);
        (outer - draws.range(0.05, 0.25), outer)
    } else {
        (draws.range(0.6, 0.9), draws.range(1.5, 2.5))
    };
    canvas.vignette(inner, outer);
}
