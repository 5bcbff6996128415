//! A fetal head in an obstetric ultrasound picture.
//!
//! The scene is a map of mean echo strength; speckle multiplies it as it does in a real scanner, where
//! many small echoes interfere and the amplitude is Rayleigh distributed.

use crate::drawing::{Blob, Canvas, Draws, Frame, Noise, Point, bump, ramp};
use crate::imaging::{Image, Mask};

pub fn draw(frame: Frame, draws: &mut Draws) -> (Image, Mask) {
    let scene = Scene::new(frame, draws);
    let fan = Fan::new(frame, draws);
    let size = frame.unit() / 100.;
    let cell = |share: f32| (size * share + 0.5) as usize;
    let spread = (cell(draws.range(1., 2.8)), cell(draws.range(0.5, 1.5)));
    let mut amplitudes = frame.speckle(draws, spread).into_iter();
    let (speckle, gain, floor) = (draws.range(0.3, 0.75), draws.range(0.75, 1.3), draws.range(0., 0.02));
    let mut canvas = Canvas::paint(frame, |p| {
        let amplitude = amplitudes.next().unwrap_or(1.);
        let echo = scene.echo(p) * (1. - speckle + speckle * amplitude);
        [fan.open(p) * (gain * echo + floor); 3]
    });
    canvas.blur(cell(draws.range(0.45, 1.)));
    canvas.add_noise(draws, 0.006, 0.);
    if draws.chance(0.5) {
        grey_bar(frame, &mut canvas);
    }
    (canvas.finish(), frame.mask(|p| scene.head.level(p) < 1.))
}

struct Scene {
    noise: Noise,
    head: Blob,
    /// The amniotic cavity around the head, dark because fluid reflects nothing.
    cavity: Blob,
    tissue: f32,
    fluid: f32,
    brain: f32,
    skull: f32,
    /// Thickness of the skull in units of the head's radius.
    thickness: f32,
    /// Where the sound meets the skull squarely, and echoes are strongest.
    beam: Point,
    dropout: f32,
    attenuation: f32,
    plexus: [Point; 2],
}

impl Scene {
    fn new(frame: Frame, draws: &mut Draws) -> Self {
        let share = draws.range(0.06, 0.3);
        let aspect = draws.range(0.68, 0.9);
        let radius = (share * frame.area() / std::f32::consts::PI).sqrt();
        let axes = (radius / aspect.sqrt(), radius * aspect.sqrt());
        let head = Blob::ellipse(frame.place(draws, axes.0, 0.6), axes, draws.direction());
        let room = draws.range(1.15, 2.1);
        let drift = draws.direction() * ((room - 1.) * axes.1);
        let cavity = Blob::ellipse(
            head.centre + drift,
            (axes.0 * room * draws.range(1., 1.5), axes.1 * room),
            draws.direction(),
        )
        .wobbling(draws, 4, 0.15);
        let beam = Point { x: draws.range(-0.5, 0.5), y: 1. };
        let side = head.direction.turned() * (0.38 * axes.1);
        let slip = head.direction * (draws.range(-0.25, 0.25) * axes.0);
        Self {
            noise: Noise::new(draws),
            cavity,
            tissue: draws.range(0.16, 0.4),
            fluid: draws.range(0.01, 0.08),
            brain: draws.range(0.1, 0.3),
            skull: draws.range(0.5, 1.1),
            thickness: draws.range(0.07, 0.18),
            beam: beam * (1. / beam.length()),
            dropout: draws.range(0.2, 0.85),
            attenuation: draws.range(0., 0.35),
            plexus: [head.centre + side + slip, head.centre - side + slip],
            head,
        }
    }

    /// Mean echo strength, 0 to about 1.
    fn echo(&self, p: Point) -> f32 {
        let level = self.head.level(p);
        let soft = self.surroundings(p);
        let inside = ramp(1.01, 0.97, level);
        let around = soft + (self.inner(p, level) - soft) * inside;
        let strongest = 1. - self.thickness * 0.6;
        let ripple = 0.25 * self.thickness * self.noise.cloud(p * 5. + Point { x: 1., y: 44. }, 2);
        let bone = bump(level - strongest + ripple, self.thickness * 1.1);
        let fade = 1. - self.attenuation * (p.y + 1.) / 2.;
        (around * fade).max(self.skull * self.squareness(p) * bone)
    }

    /// How squarely the sound meets the skull at `p`: 1 at best, less along the sides.
    fn squareness(&self, p: Point) -> f32 {
        let q = p - self.head.centre;
        let (along, across) = (self.head.direction, self.head.direction.turned());
        let normal =
            along * (q.dot(along) / self.head.axes.0.powi(2)) + across * (q.dot(across) / self.head.axes.1.powi(2));
        let cosine = normal.dot(self.beam) / normal.length().max(1e-6);
        let patchy = 0.75 + 0.55 * self.noise.cloud(p * 4.5, 2);
        (1. - self.dropout + self.dropout * cosine * cosine) * patchy
    }

    fn surroundings(&self, p: Point) -> f32 {
        let level = self.cavity.level(p) + 0.08 * self.noise.cloud(p * 3., 2);
        // Layers of tissue lie across the beam, so the noise is stretched sideways.
        let layers = self.noise.cloud(Point { x: p.x * 1.6 + p.y * 0.5, y: p.y * 6. }, 4);
        let patch = self.noise.cloud(p * 1.3 + Point { x: 8., y: 8. }, 2);
        let tissue = self.tissue * (1. + 1.3 * layers + 0.8 * patch).max(0.1);
        let wall = 0.45 * self.tissue * bump(level - 1.03, 0.08);
        self.fluid + (tissue - self.fluid) * ramp(0.95, 1.05, level) + wall
    }

    fn inner(&self, p: Point, level: f32) -> f32 {
        let q = p - self.head.centre;
        let gyri = self.noise.cloud(p * (1.6 / self.head.axes.1) + Point { x: 33., y: 3. }, 3);
        let across = q.dot(self.head.direction.turned()) + 0.015 * gyri;
        let broken = ramp(-0.5, 0.3, self.noise.cloud(p * 3. + Point { x: 50., y: 5. }, 2));
        let falx = 0.45 * self.skull * broken * bump(across, 0.04) * ramp(0.9, 0.5, level);
        let size = 0.42 * self.head.axes.1;
        let plexus: f32 = self.plexus.iter().map(|c| bump((p - *c).length() + 0.06 * gyri, size)).sum();
        (self.brain * (1. + 1.9 * gyri).max(0.1) + 0.5 * self.brain * plexus).max(falx)
    }
}

/// The sector that a curved probe scans; a picture may be cropped within it.
struct Fan {
    apex: f32,
    spread: f32,
    near: f32,
    far: f32,
}

impl Fan {
    fn new(frame: Frame, draws: &mut Draws) -> Self {
        let Point { x, y } = frame.corner();
        if draws.chance(0.4) {
            return Self { apex: -1000., spread: 10., near: 0., far: 2000. };
        }
        let apex = -y - draws.range(0.3, 1.2);
        // The fan's edges leave the picture's sides somewhat below the top.
        let spread = x / (draws.range(-0.3, 0.6) * y - apex);
        Self { apex, spread, near: -y - apex + draws.range(-0.3, 0.08), far: 2. * y + draws.range(0., 0.6) - y - apex }
    }

    /// 1 inside the sector, 0 outside.
    fn open(&self, p: Point) -> f32 {
        let q = Point { x: p.x, y: p.y - self.apex };
        let depth = q.length();
        let edge = q.x.abs() - self.spread * q.y;
        ramp(0.01, -0.01, edge) * ramp(self.near, self.near + 0.02, depth) * ramp(self.far, self.far - 0.02, depth)
    }
}

/// The grey scale that scanners show at the left border.
fn grey_bar(frame: Frame, canvas: &mut Canvas) {
    let Point { x, y } = frame.corner();
    canvas.repaint(|p, colour| {
        let (across, down) = (p.x + x, (p.y + y) / (2. * y));
        if (0.015..0.035).contains(&across) && (0.05..0.6).contains(&down) {
            [1. - (down - 0.05) / 0.55; 3]
        } else {
            colour
        }
    });
}
