//! Random views of a sample: a crop that is turned, flipped and recoloured.

use rand_chacha::ChaCha8Rng;

use super::data::{KEPT, Sample};
use super::random::{between, gaussian, index, uniform};

/// A picture and its mask at the network's size.
pub(super) struct View {
    /// `[3, size, size]` in [0, 1].
    pub pixels: Vec<f32>,
    /// `[size, size]` of 0 and 1.
    pub mask: Vec<f32>,
}

/// The sample as it is, at another size.
pub(super) fn plain(sample: &Sample, size: usize) -> View {
    look(sample, size, &Frame { along: [1., 0.], across: [0., 1.], centre: [0.5, 0.5] })
}

/// A random view. `upright` pictures (chest X-rays) are turned little and never upside down.
pub(super) fn random(sample: &Sample, size: usize, upright: bool, random: &mut ChaCha8Rng) -> View {
    let mut view = look(sample, size, &Frame::draw(upright, random));
    recolour(&mut view.pixels, random);
    view
}

/// Where the corners of the view lie in the sample, in units of its side.
struct Frame {
    along: [f64; 2],
    across: [f64; 2],
    centre: [f64; 2],
}

impl Frame {
    fn draw(upright: bool, random: &mut ChaCha8Rng) -> Self {
        let scale = between(random, 0.6, 1.).sqrt() * between(random, 0.95, 1.05);
        let aspect = between(random, 0.85, 1.18).sqrt();
        let (width, height) = (scale * aspect, scale / aspect);
        let degrees = between(random, -12., 12.) + if upright { 0. } else { 90. * index(random, 4) as f64 };
        let (sin, cos) = degrees.to_radians().sin_cos();
        let mirror = if uniform(random) < 0.5 { -1. } else { 1. };
        let slack = |extent: f64| (1. - extent).max(0.) / 2.;
        Self {
            along: [width * cos * mirror, width * sin * mirror],
            across: [-height * sin, height * cos],
            centre: [0.5 + between(random, -1., 1.) * slack(width), 0.5 + between(random, -1., 1.) * slack(height)],
        }
    }
}

/// Samples the frame: bilinear for the picture, nearest for the mask, edges repeated.
fn look(sample: &Sample, size: usize, frame: &Frame) -> View {
    let mut pixels = vec![0f32; 3 * size * size];
    let mut mask = vec![0f32; size * size];
    let last = (KEPT - 1) as f64;
    for y in 0..size {
        for x in 0..size {
            let (u, v) = ((x as f64 + 0.5) / size as f64 - 0.5, (y as f64 + 0.5) / size as f64 - 0.5);
            let at = |i: usize| (frame.centre[i] + u * frame.along[i] + v * frame.across[i]) * KEPT as f64 - 0.5;
            let (sx, sy) = (at(0).clamp(0., last), at(1).clamp(0., last));
            let (x0, y0) = (sx as usize, sy as usize);
            let (x1, y1) = ((x0 + 1).min(KEPT - 1), (y0 + 1).min(KEPT - 1));
            let (fx, fy) = ((sx - x0 as f64) as f32, (sy - y0 as f64) as f32);
            let to = y * size + x;
            for c in 0..3 {
                let of = |x: usize, y: usize| f32::from(sample.rgb[(y * KEPT + x) * 3 + c]);
                let top = of(x0, y0) * (1. - fx) + of(x1, y0) * fx;
                let bottom = of(x0, y1) * (1. - fx) + of(x1, y1) * fx;
                pixels[c * size * size + to] = (top * (1. - fy) + bottom * fy) / 255.;
            }
            let nearest = sy.round() as usize * KEPT + sx.round() as usize;
            mask[to] = f32::from(sample.mask[nearest]);
        }
    }
    View { pixels, mask }
}

/// Brightness, contrast, saturation, gamma, a colour cast and noise.
fn recolour(pixels: &mut [f32], random: &mut ChaCha8Rng) {
    let plane = pixels.len() / 3;
    let gain = between(random, 0.75, 1.25) as f32;
    let shift = between(random, -0.08, 0.08) as f32;
    let gamma = between(random, 0.75, 1.33) as f32;
    let saturation = between(random, 0.6, 1.4) as f32;
    let cast = [0; 3].map(|_| between(random, 0.9, 1.1) as f32);
    let noise = if uniform(random) < 0.5 { between(random, 0., 0.04) } else { 0. } as f32;
    let bend = uniform(random) < 0.5;
    for i in 0..plane {
        let rgb = [pixels[i], pixels[plane + i], pixels[2 * plane + i]];
        let grey = (rgb[0] + rgb[1] + rgb[2]) / 3.;
        for c in 0..3 {
            let v = grey + (rgb[c] - grey) * saturation;
            let v = ((v - 0.5) * gain + 0.5 + shift) * cast[c];
            let v = v.clamp(0., 1.);
            pixels[c * plane + i] = if bend { v.powf(gamma) } else { v };
        }
    }
    if noise > 0. {
        pixels.iter_mut().for_each(|v| *v = (*v + noise * gaussian(random) as f32).clamp(0., 1.));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::stream;

    fn sample() -> Sample {
        let inside = |i: usize| u8::from((64..192).contains(&(i % KEPT)) && (64..192).contains(&(i / KEPT)));
        let mask: Vec<u8> = (0..KEPT * KEPT).map(inside).collect();
        let rgb = mask.iter().flat_map(|m| [m * 200, 40, 90]).collect();
        Sample { name: "a.png".into(), rgb, mask, structure: "square".into() }
    }

    #[test]
    fn the_mask_moves_with_the_picture() {
        for i in 0..20 {
            let view = random(&sample(), 64, i % 2 == 0, &mut stream(&[i], "view"));
            let agree = (0..64 * 64).filter(|p| (view.pixels[*p] > 0.45) == (view.mask[*p] > 0.5)).count();
            assert!(agree > 64 * 64 * 9 / 10, "{agree} of {}", 64 * 64);
            assert!(view.pixels.iter().all(|v| (0. ..=1.).contains(v)));
        }
    }

    #[test]
    fn a_plain_view_keeps_the_area() {
        let area: f32 = plain(&sample(), 128).mask.iter().sum();
        assert_eq!(area, 64. * 64.);
    }
}
