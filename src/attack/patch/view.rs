//! A patch as it may be seen: moved, scaled and lightened, as a map from the patch's pixels to the image's.

use candle_core::{Result, Tensor};

use crate::attack::harness::random::Stream;
use crate::imaging::Mask;

/// How far views may differ from the patch as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Variation {
    /// Largest move along each axis, in pixels.
    pub translation_px: usize,
    /// Smallest size, as a share of each side; the largest is its reciprocal.
    pub scale: f64,
    /// Largest relative change of all values.
    pub brightness: f64,
}

/// One view. Each pixel that it covers shows the nearest pixel of the patch.
#[derive(Debug)]
pub(super) struct View {
    /// The pixels that it covers.
    pub mask: Mask,
    /// For each pixel of the frame, row-major, the pixel of the patch that it shows; 0 where it is not covered.
    source: Tensor,
    /// `[1, h, w]`, 1 where it is covered.
    covered: Tensor,
    /// What values are multiplied with.
    brightness: f64,
}

impl View {
    /// Draws a view of the patch at `placement`, on the device of `like`: about its centre it is scaled by a factor
    /// uniform in its logarithm, then moved by whole pixels and lightened, both uniformly.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn draw(placement: &Mask, within: Variation, like: &Tensor, stream: &mut Stream) -> Result<Self> {
        let mut either = || 2. * stream.uniform() - 1.;
        let far = within.translation_px as f64 + 0.5;
        let step =
            |draw: f64| (draw * far).round().clamp(-(within.translation_px as f64), within.translation_px as f64);
        let moved = (step(either()), step(either()));
        let scale = within.scale.powf(either());
        Self::new(placement, moved, scale, 1. + within.brightness * either(), like)
    }

    fn new(placement: &Mask, moved: (f64, f64), scale: f64, brightness: f64, like: &Tensor) -> Result<Self> {
        let (width, height) = (placement.width(), placement.height());
        let centre = centre(placement);
        let back = |at: usize, centre: f64, moved: f64, size: usize| {
            let from = (centre + (at as f64 - centre - moved) / scale).round();
            (from >= 0. && from < size as f64).then_some(from as usize)
        };
        let columns: Vec<_> = (0..width).map(|x| back(x, centre.0, moved.0, width)).collect();
        let rows: Vec<_> = (0..height).map(|y| back(y, centre.1, moved.1, height)).collect();
        let shown = |x: usize, y: usize| columns[x].zip(rows[y]).filter(|(x, y)| placement.get(*x, *y));
        let mask = Mask::from_fn(width, height, |x, y| shown(x, y).is_some());
        let source: Vec<u32> = (0..width * height)
            .map(|pixel| shown(pixel % width, pixel / width).map_or(0, |(x, y)| (y * width + x) as u32))
            .collect();
        let covered: Vec<f32> = mask.bits().iter().map(|covered| f32::from(u8::from(*covered))).collect();
        Ok(Self {
            source: Tensor::from_vec(source, width * height, like.device())?,
            covered: Tensor::from_vec(covered, (1, height, width), like.device())?,
            mask,
            brightness,
        })
    }

    /// The patch's values before they are cut to [0, 1], at the pixels that the view covers.
    fn values(&self, patch: &Tensor) -> Result<Tensor> {
        patch.flatten_from(1)?.index_select(&self.source, 1)?.reshape(patch.shape())? * self.brightness
    }

    /// The clean image `[3, h, w]` with this view of the `patch`, which lies in an image of the same shape.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub(super) fn image(&self, patch: &Tensor, clean: &Tensor) -> Result<Tensor> {
        let over = self.values(patch)?.clamp(0., 1.)?.broadcast_mul(&self.covered)?;
        clean.broadcast_mul(&self.covered.affine(-1., 1.)?)? + over
    }

    /// A gradient with respect to [`Self::image`] as one with respect to the patch: 0 outside of it, and where a value
    /// was cut.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub(super) fn pull_back(&self, gradient: &Tensor, patch: &Tensor) -> Result<Tensor> {
        let values = self.values(patch)?;
        let free = (values.ge(0f64)?.to_dtype(values.dtype())? * values.le(1f64)?.to_dtype(values.dtype())?)?;
        let through = ((gradient * free)?.broadcast_mul(&self.covered)? * self.brightness)?;
        let zero = patch.zeros_like()?.flatten_from(1)?;
        zero.index_add(&self.source, &through.flatten_from(1)?.contiguous()?, 1)?.reshape(patch.shape())
    }
}

/// The middle of the smallest rectangle around a mask.
fn centre(mask: &Mask) -> (f64, f64) {
    let (mut low, mut high) = ((mask.width(), mask.height()), (0, 0));
    for (pixel, _) in mask.bits().iter().enumerate().filter(|(_, inside)| **inside) {
        let (x, y) = (pixel % mask.width(), pixel / mask.width());
        (low, high) = ((low.0.min(x), low.1.min(y)), (high.0.max(x), high.1.max(y)));
    }
    (((low.0 + high.0) as f64) / 2., ((low.1 + high.1) as f64) / 2.)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::attack::harness::random::{Draw, RandomSource};
    use crate::imaging::Image;
    use crate::nn::testing::noise;

    fn unit(seed: u64) -> Tensor {
        noise(seed, &[3, 11, 14]).unwrap().to_dtype(DType::F32).unwrap().tanh().unwrap().affine(0.5, 0.5).unwrap()
    }

    fn placement() -> Mask {
        Mask::from_fn(14, 11, |x, y| (4..9).contains(&x) && (3..8).contains(&y) && (x, y) != (5, 5))
    }

    fn views() -> Vec<View> {
        let image = Image::new(1, 1, vec![1, 2, 3]).unwrap();
        let within = Variation { translation_px: 3, scale: 0.7, brightness: 0.4 };
        let source = RandomSource::new(1, &image);
        (0..30)
            .map(|step| {
                let mut stream = source.stream(Draw { restart: 0, step, purpose: "patch" });
                View::draw(&placement(), within, &unit(1), &mut stream).unwrap()
            })
            .collect()
    }

    fn flat(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn the_view_that_changes_nothing_is_the_patch_itself() {
        let still = Variation { translation_px: 0, scale: 1., brightness: 0. };
        let image = Image::new(1, 1, vec![1, 2, 3]).unwrap();
        let mut stream = RandomSource::new(1, &image).stream(Draw { restart: 0, step: 0, purpose: "patch" });
        let (clean, patch) = (unit(1), unit(2));
        let view = View::draw(&placement(), still, &clean, &mut stream).unwrap();
        assert_eq!(view.mask, placement());
        let seen = flat(&view.image(&patch, &clean).unwrap());
        for (pixel, inside) in placement().bits().iter().enumerate() {
            for channel in 0..3 {
                let at = channel * 14 * 11 + pixel;
                assert_eq!(seen[at], if *inside { flat(&patch)[at] } else { flat(&clean)[at] });
            }
        }
    }

    #[test]
    fn views_move_and_scale_and_leave_the_rest_alone() {
        let (clean, patch) = (unit(1), unit(2));
        let mut areas = std::collections::BTreeSet::new();
        for view in views() {
            areas.insert(view.mask.area());
            let (seen, clean) = (flat(&view.image(&patch, &clean).unwrap()), flat(&clean));
            for (at, (seen, clean)) in seen.iter().zip(&clean).enumerate() {
                assert!((0. ..=1.).contains(seen) && (view.mask.bits()[at % (14 * 11)] || seen == clean));
            }
        }
        assert!(areas.len() > 5 && areas.first() < Some(&20) && areas.last() > Some(&28), "{areas:?}");
        let shifted = View::new(&placement(), (2., -1.), 1., 1., &clean).unwrap();
        assert_eq!(shifted.mask, Mask::from_fn(14, 11, |x, y| x >= 2 && y < 10 && placement().get(x - 2, y + 1)));
    }

    #[test]
    fn the_pull_back_is_the_transpose_of_the_derivative() {
        let (clean, patch, y, along) = (unit(1), (unit(2) * 0.7).unwrap(), unit(3), unit(4));
        let dot = |a: &Tensor, b: &Tensor| {
            flat(a).iter().zip(flat(b)).map(|(a, b)| f64::from(*a) * f64::from(b)).sum::<f64>()
        };
        for view in views() {
            // No value reaches 1: the map is affine.
            let there = (view.image(&(&patch + (&along * 1e-2).unwrap()).unwrap(), &clean).unwrap()
                - view.image(&patch, &clean).unwrap())
            .unwrap();
            let (there, back) = (dot(&there, &y) / 1e-2, dot(&along, &view.pull_back(&y, &patch).unwrap()));
            assert!((there - back).abs() < 1e-2 * (1. + back.abs()), "{there} and {back}");
        }
        let bright = View::new(&placement(), (0., 0.), 1., 2., &clean).unwrap();
        let white = patch.ones_like().unwrap();
        assert!(flat(&bright.pull_back(&y, &white).unwrap()).iter().all(|g| *g == 0.), "what is cut has no gradient");
        assert_eq!(patch.device().is_cpu(), Device::Cpu.is_cpu());
    }
}
