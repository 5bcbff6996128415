//! A frontal chest X-ray: dense tissue is bright, the air in the lungs dark.

use crate::drawing::{Blob, Canvas, Draws, Frame, Noise, Point, bump, ramp};
use crate::imaging::{Image, Mask};

pub fn draw(frame: Frame, draws: &mut Draws) -> (Image, Mask) {
    let chest = Chest::new(frame, draws);
    let film = Film::new(draws);
    let mut canvas = Canvas::paint(frame, |p| [film.develop(chest.density(p)); 3]);
    if frame.unit() > 80. {
        canvas.blur(1);
    }
    let grain = draws.range(0.004, 0.02);
    canvas.add_noise(draws, grain, 0.);
    (canvas.finish(), frame.mask(|p| chest.lung(p) > 0.))
}

/// One lung in the plane: `u` counts from the midline outwards, `v` downwards.
struct Lung {
    apex: f32,
    base: f32,
    inner: f32,
    outer: f32,
    dome: f32,
}

impl Lung {
    /// About the distance to the border; positive inside.
    fn depth(&self, u: f32, v: f32) -> f32 {
        let width = self.outer - self.inner;
        // The chest wall: widest near the base, closing over the apex.
        let widest = self.apex + 0.85 * (self.base - self.apex);
        let rise = ((widest - v) / (widest - self.apex)).clamp(-1.2, 1.);
        let bow = if rise > 0. { (1. - rise * rise).max(0.).sqrt() } else { 1. - 0.1 * rise * rise };
        let wall = self.inner + width * (0.3 + 0.7 * bow);
        let top = rise.max(0.);
        let middle = self.inner + width * 0.28 * top * top * top * top * top * top;
        // The diaphragm's dome pushes up between heart and chest wall.
        let across = (u - self.inner - 0.4 * width) / width;
        let floor = self.base - self.dome * (1. - 2.8 * across * across).max(-0.4);
        (wall - u).min(u - middle).min(floor - v).min(2. * (v - self.apex))
    }
}

struct Chest {
    noise: Noise,
    centre: Point,
    /// Half the chest's width.
    scale: f32,
    lean: f32,
    lungs: [Lung; 2],
    heart: Blob,
    girth: f32,
    air: f32,
    tissue: f32,
    ribs: f32,
    rib_gap: f32,
    vessels: f32,
    clouding: Option<(Point, f32)>,
}

impl Chest {
    fn new(frame: Frame, draws: &mut Draws) -> Self {
        let corner = frame.corner();
        let scale = draws.range(0.86, 1.15) * corner.x.min(corner.y * 1.15);
        let centre = Point { x: draws.range(-0.07, 0.07), y: draws.range(-0.12, 0.08) };
        let apex = draws.range(-0.84, -0.72);
        let base = draws.range(0.3, 0.6);
        let mut lung = |base: f32, inner: f32| Lung {
            apex: apex + draws.range(-0.02, 0.02),
            base,
            inner,
            outer: draws.range(0.8, 0.92),
            dome: draws.range(0.12, 0.22),
        };
        // The first lung is the patient's right one, on the left of the picture, pushed up by the liver.
        let lungs = [lung(base, 0.13), lung(base + 0.04, 0.11)];
        let size = draws.range(0.85, 1.25);
        let middle = Point { x: 0.15, y: base - 0.17 };
        let heart =
            Blob::ellipse(middle, (0.44 * size, 0.28 * size), Point { x: 0.8, y: 0.6 }).wobbling(draws, 3, 0.06);
        Self {
            noise: Noise::new(draws),
            centre,
            scale,
            lean: draws.range(-0.05, 0.05),
            lungs,
            heart,
            girth: draws.range(1.02, 1.25),
            air: draws.range(0.12, 0.32),
            tissue: draws.range(0.46, 0.64),
            ribs: draws.range(0.03, 0.11),
            rib_gap: draws.range(0.14, 0.18),
            vessels: draws.range(0.03, 0.09),
            clouding: draws
                .chance(0.3)
                .then(|| (Point { x: draws.range(-0.6, 0.6), y: draws.range(-0.5, 0.4) }, draws.range(0.05, 0.25))),
        }
    }

    /// From the picture to the chest: the midline upright at x = 0, the chest's half width 1.
    fn local(&self, p: Point) -> Point {
        let q = (p - self.centre) * (1. / self.scale);
        Point { x: q.x + self.lean * q.y, y: q.y - self.lean * q.x }
    }

    fn lung(&self, p: Point) -> f32 {
        let q = self.local(p);
        let side = &self.lungs[usize::from(q.x > 0.)];
        let heart = 0.3 * (self.heart.level(q) - 1.);
        // The knob of the aorta dents the lung on the picture's right.
        let aorta = (q - Point { x: 0.07, y: self.lungs[1].apex + 0.42 }).length() - 0.13;
        side.depth(q.x.abs(), q.y).min(heart).min(aorta)
    }

    /// Distance from the skin, positive inside: neck, shoulders, trunk.
    fn body(&self, q: Point) -> f32 {
        let shoulders = ramp(self.lungs[0].apex - 0.3, self.lungs[0].apex + 0.25, q.y);
        let waist = 0.1 * bump(q.y - 0.1, 0.7);
        0.3 + (self.girth - 0.18) * shoulders + 0.25 * bump(q.y + 0.6, 0.5) - waist - q.x.abs()
    }

    /// Optical density: 0 for air outside, 1 where hardly any ray passes.
    fn density(&self, p: Point) -> f32 {
        let q = self.local(p);
        let side = Point { x: q.x.abs(), y: q.y };
        let (u, cloud) = (side.x, self.noise.cloud(q * 2.2, 3));
        // The trunk is round: rays through its rim meet less of it.
        let body = ramp(-0.02, 0.3, self.body(q) + 0.04 * cloud);
        let depth = self.lung(p);
        let belly = ramp(self.lungs[0].base - 0.25, self.lungs[0].base + 0.1, q.y);
        let spine = bump(u, 0.16) * (0.85 + 0.15 * self.vertebrae(q.y));
        let windpipe = bump(q.x + 0.02, 0.08) * ramp(-0.2, -0.4, q.y);
        let heart = ramp(1.2, 0.7, self.heart.level(q));
        let rim = bump(depth.min(0.), 0.14);
        let dense = self.tissue + 0.07 * cloud + 0.32 * belly + 0.12 * spine + 0.12 * heart - 0.1 * windpipe
            + 0.2 * bump(u, 0.42)
            + 0.08 * rim
            + self.bones(q) * 0.6;

        let hilum = bump((side - Point { x: 0.26, y: -0.12 }).length() + 0.1 * cloud, 0.45);
        let fine = self.noise.veins(q * 5., 0.3) + 0.6 * self.noise.veins(q * 11., 0.3);
        let clouding = self.clouding.map_or(0., |(c, how)| how * bump((q - c).length() + 0.1 * cloud, 0.4));
        let aerated = self.air + 0.05 * cloud + self.vessels * fine * (0.35 + 1.4 * hilum) + 0.12 * hilum + clouding
            // The chest wall is thicker at the sides, seen edge on.
            + 0.1 * ramp(0.25, 0., depth)
            // The lungs get thicker, and the breasts lie in front, towards the base.
            + 0.08 * ramp(-0.3, 0.4, q.y)
            + self.bones(q);
        let inside = ramp(-0.012, 0.03, depth);
        body * (dense + (aerated - dense) * inside) + 0.02
    }

    fn vertebrae(&self, v: f32) -> f32 {
        let phase = v / 0.13;
        let t = phase - phase.floor();
        if t < 0.15 { -1. } else { 1. }
    }

    /// Ribs and collar bones.
    fn bones(&self, q: Point) -> f32 {
        let u = q.x.abs();
        let cage = ramp(0.1, 0.2, u) * ramp(1.02, 0.9, u) * ramp(0.7, 0.35, q.y) * ramp(-0.95, -0.75, q.y);
        // Back ribs arch over, front ones fall towards the middle: two families of parallel curves.
        let band = |course: f32, half: f32| {
            let phase = course / self.rib_gap;
            let d = (phase - phase.floor() - 0.5).abs();
            ramp(half + 0.07, half - 0.05, d) * (0.65 + 0.35 * ramp(half - 0.16, half, d))
        };
        let back = band(q.y + 0.25 * u - 0.62 * u * u, 0.24);
        let front = band(q.y * 0.9 - 0.5 * u + 0.15 * u * u, 0.2) * ramp(0.25, 0.6, u);
        let collar = bump(q.y - (self.lungs[0].apex + 0.16 - 0.16 * u), 0.05) * ramp(0.1, 0.2, u);
        self.ribs * (cage * (back + 0.5 * front) + 1.3 * collar)
    }
}

/// How density becomes grey: exposure, contrast and the collimator's border.
struct Film {
    dark: f32,
    contrast: f32,
    curve: f32,
}

impl Film {
    fn new(draws: &mut Draws) -> Self {
        Self { dark: draws.range(-0.08, 0.03), contrast: draws.range(0.9, 1.2), curve: draws.range(-0.3, 0.3) }
    }

    fn develop(&self, density: f32) -> f32 {
        let v = (self.dark + self.contrast * density).clamp(0., 1.);
        v + self.curve * v * (1. - v)
    }
}
