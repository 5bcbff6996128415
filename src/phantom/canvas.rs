//! A float picture to paint on, and the coordinates of its pixels.

use super::random::Draws;
use super::shape::{Point, mix};
use crate::imaging::{Image, Mask};

/// The size of a picture.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    pub width: usize,
    pub height: usize,
}

impl Frame {
    /// Half the short side in pixels: the unit of [`Point`].
    pub fn unit(self) -> f32 {
        self.width.min(self.height) as f32 / 2.
    }

    /// The picture's lower right corner; the upper left one is its negative.
    pub fn corner(self) -> Point {
        Point { x: self.width as f32 / 2., y: self.height as f32 / 2. } * (1. / self.unit())
    }

    /// Area of the picture in squared units.
    pub fn area(self) -> f32 {
        4. * self.corner().x * self.corner().y
    }

    /// The centre of pixel (`x`, `y`).
    pub fn point(self, x: usize, y: usize) -> Point {
        let half = Point { x: self.width as f32, y: self.height as f32 } * 0.5;
        (Point { x: x as f32 + 0.5, y: y as f32 + 0.5 } - half) * (1. / self.unit())
    }

    /// A place for something of half size `radius`, wholly inside the picture where it fits, and no
    /// further than `reach` of the way from the middle to the border.
    pub fn place(self, draws: &mut Draws, radius: f32, reach: f32) -> Point {
        let free = |half: f32| (half - radius).max(0.) * reach;
        let Point { x, y } = self.corner();
        Point { x: free(x) * draws.range(-1., 1.), y: free(y) * draws.range(-1., 1.) }
    }

    /// The pixels whose centre is `inside`.
    pub fn mask(self, inside: impl Fn(Point) -> bool) -> Mask {
        Mask::from_fn(self.width, self.height, |x, y| inside(self.point(x, y)))
    }

    /// One random value per pixel, smoothed over `across` x `down` pixels, mean 0 and variance 1.
    pub fn grain(self, draws: &mut Draws, (across, down): (usize, usize)) -> Vec<f32> {
        let mut field: Vec<f32> = (0..self.width * self.height).map(|_| draws.normal()).collect();
        for _ in 0..2 {
            smooth(&mut field, self.width, 1, across);
            smooth(&mut field, self.height, self.width, down);
        }
        let power = field.iter().map(|v| v * v).sum::<f32>() / field.len() as f32;
        let scale = 1. / power.sqrt().max(1e-6);
        field.iter_mut().for_each(|v| *v *= scale);
        field
    }
}

/// RGB in [0, 1] while it is being painted; values outside are clamped at the end.
pub struct Canvas {
    frame: Frame,
    pixels: Vec<[f32; 3]>,
}

impl Canvas {
    /// Every pixel is `colour` of its centre.
    pub fn paint(frame: Frame, mut colour: impl FnMut(Point) -> [f32; 3]) -> Self {
        let places = (0..frame.height).flat_map(|y| (0..frame.width).map(move |x| (x, y)));
        Self { frame, pixels: places.map(|(x, y)| colour(frame.point(x, y))).collect() }
    }

    /// Replaces every pixel by `change(place, colour)`.
    pub fn repaint(&mut self, mut change: impl FnMut(Point, [f32; 3]) -> [f32; 3]) {
        for (at, pixel) in self.pixels.iter_mut().enumerate() {
            *pixel = change(self.frame.point(at % self.frame.width, at / self.frame.width), *pixel);
        }
    }

    /// Blends `colour` in along a curve through `from`, bent towards `via`, to `to`; `width` in units.
    pub fn stroke(&mut self, [from, via, to]: [Point; 3], width: f32, colour: [f32; 3]) {
        let unit = self.frame.unit();
        let reach = (width * unit / 2.).max(0.5);
        let length = ((via - from).length() + (to - via).length()) * unit;
        let steps = (length * 2.).clamp(2., 20_000.) as usize;
        let mut cover = std::collections::BTreeMap::<usize, f32>::new();
        for step in 0..=steps {
            let t = step as f32 / steps as f32;
            let p = (from * (1. - t) + via * t) * (1. - t) + (via * (1. - t) + to * t) * t;
            let (cx, cy) = ((p.x + self.frame.corner().x) * unit, (p.y + self.frame.corner().y) * unit);
            let first = |c: f32| (c - reach - 1.).floor().max(0.) as usize;
            let last = |c: f32, size: usize| ((c + reach + 1.).max(0.) as usize).min(size - 1);
            for y in first(cy)..=last(cy, self.frame.height) {
                for x in first(cx)..=last(cx, self.frame.width) {
                    let d = Point { x: x as f32 + 0.5 - cx, y: y as f32 + 0.5 - cy }.length();
                    let here = cover.entry(y * self.frame.width + x).or_default();
                    *here = here.max((reach + 0.5 - d).clamp(0., 1.));
                }
            }
        }
        for (at, share) in cover {
            self.pixels[at] = mix(self.pixels[at], colour, share);
        }
    }

    /// Averages over `2 radius + 1` pixels both ways, twice: a lens slightly out of focus.
    pub fn blur(&mut self, radius: usize) {
        for c in 0..3 {
            let mut channel: Vec<f32> = self.pixels.iter().map(|p| p[c]).collect();
            for _ in 0..2 {
                smooth(&mut channel, self.frame.width, 1, radius);
                smooth(&mut channel, self.frame.height, self.frame.width, radius);
            }
            self.pixels.iter_mut().zip(channel).for_each(|(p, v)| p[c] = v);
        }
    }

    /// Adds sensor noise of standard deviation `colour` per channel and `grey` common to all three.
    pub fn add_noise(&mut self, draws: &mut Draws, grey: f32, colour: f32) {
        for pixel in &mut self.pixels {
            let common = grey * draws.normal();
            *pixel = pixel.map(|v| v + common + if colour > 0. { colour * draws.normal() } else { 0. });
        }
    }

    /// Rounds to 8 bits.
    pub fn finish(self) -> Image {
        let rgb = self.pixels.as_flattened().iter().map(|v| (v * 255. + 0.5).clamp(0., 255.) as u8).collect();
        Image::new(self.frame.width, self.frame.height, rgb).expect("a canvas has one colour per pixel")
    }
}

/// A running mean of `2 radius + 1` values along lines of `length` values that are `stride` apart.
fn smooth(field: &mut [f32], length: usize, stride: usize, radius: usize) {
    if radius == 0 {
        return;
    }
    let lines = field.len() / length;
    let mut line = vec![0.; length];
    for start in (0..lines).map(|n| if stride == 1 { n * length } else { n }) {
        for (k, v) in line.iter_mut().enumerate() {
            *v = field[start + k * stride];
        }
        for k in 0..length {
            let (low, high) = (k.saturating_sub(radius), (k + radius).min(length - 1));
            field[start + k * stride] = line[low..=high].iter().sum::<f32>() / (high - low + 1) as f32;
        }
    }
}
