//! A float picture to paint on, and the coordinates of its pixels.

use super::random::Draws;
use super::shape::{Point, mix, ramp, tint};
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

    /// The amplitude of echoes that interfere: Rayleigh distributed, mean about 1, in cells of `across` x `down`
    /// pixels.
    pub fn speckle(self, draws: &mut Draws, cell: (usize, usize)) -> Vec<f32> {
        let (real, imaginary) = (self.grain(draws, cell), self.grain(draws, cell));
        real.iter().zip(&imaginary).map(|(a, b)| (a * a + b * b).sqrt() * 0.8).collect()
    }

    /// A hair that lies about along `way`, as [`Canvas::stroke`] takes it: its curve and its width.
    pub fn hair(self, draws: &mut Draws, way: Point) -> ([Point; 3], f32) {
        let corner = self.corner();
        let from = Point { x: corner.x * draws.range(-1., 1.), y: corner.y * draws.range(-1., 1.) };
        let to = from + (way + draws.direction() * 0.7) * draws.range(0.3, 1.2);
        let via = (from + to) * 0.5 + draws.direction() * draws.range(0., 0.35);
        ([from, via, to], draws.range(0.006, 0.016))
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

    /// The picture as it is, to paint over.
    pub fn over(image: &Image) -> Self {
        let pixels = image.rgb().as_chunks::<3>().0.iter().map(|p| p.map(|v| f32::from(v) / 255.)).collect();
        Self { frame: Frame { width: image.width(), height: image.height() }, pixels }
    }

    /// Its size.
    pub fn frame(&self) -> Frame {
        self.frame
    }

    /// The pixels, row-major.
    pub fn pixels(&self) -> &[[f32; 3]] {
        &self.pixels
    }

    /// The pixels, row-major, to be changed.
    pub fn pixels_mut(&mut self) -> &mut [[f32; 3]] {
        &mut self.pixels
    }

    /// Changes each channel, row-major, by itself.
    pub fn each_channel(&mut self, mut change: impl FnMut(&mut Vec<f32>)) {
        for c in 0..3 {
            let mut channel: Vec<f32> = self.pixels.iter().map(|p| p[c]).collect();
            change(&mut channel);
            self.pixels.iter_mut().zip(channel).for_each(|(p, v)| p[c] = v);
        }
    }

    /// Darkens the picture from a distance of `inner` to `outer` half diagonals from its middle.
    pub fn vignette(&mut self, inner: f32, outer: f32) {
        let half_diagonal = self.frame.corner().length();
        self.repaint(|p, colour| tint(colour, [ramp(outer, inner, p.length() / half_diagonal).max(0.02); 3]));
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
        let Frame { width, height } = self.frame;
        self.each_channel(|channel| {
            for _ in 0..2 {
                smooth(channel, width, 1, radius);
                smooth(channel, height, width, radius);
            }
        });
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
