//! A shrunk and shifted copy of an image in a frame of its own size, as a linear map.

use candle_core::{Result, Tensor};

use super::harness::random::Stream;
use crate::imaging::Mask;
use crate::model::Resize;

/// Where a copy lies in the frame.
#[derive(Debug, Clone)]
pub(super) struct Moved {
    resize: Resize,
    /// Height and width of the frame, and of the copy.
    frame: (usize, usize),
    copy: (usize, usize),
    /// Row and column of the copy's first pixel.
    corner: (usize, usize),
}

impl Moved {
    /// A copy of `x` `[3, h, w]` of uniformly drawn size, from `smallest` of each side up to all of it, at a uniformly
    /// drawn place. The aspect ratio is kept but for rounding.
    ///
    /// # Errors
    /// A tensor of another rank.
    pub(super) fn draw(x: &Tensor, smallest: f64, stream: &mut Stream) -> Result<Self> {
        let (_, height, width) = x.dims3()?;
        let scale = smallest + (1. - smallest) * stream.uniform();
        let side = |side: usize| ((side as f64 * scale).round() as usize).clamp(1, side);
        let copy = (side(height), side(width));
        let mut place = |room: usize| ((stream.uniform() * (room + 1) as f64) as usize).min(room);
        let corner = (place(height - copy.0), place(width - copy.1));
        Ok(Self { resize: Resize::new((height, width), copy, x.device())?, frame: (height, width), copy, corner })
    }

    /// The copy of an image `[3, h, w]`, 0 around it.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub(super) fn image(&self, x: &Tensor) -> Result<Tensor> {
        let (below, right) = self.rest();
        self.resize.forward(x)?.pad_with_zeros(1, self.corner.0, below)?.pad_with_zeros(2, self.corner.1, right)
    }

    /// The transpose of [`Self::image`]: a gradient with respect to the copy as one with respect to the image.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub(super) fn pull_back(&self, gradient: &Tensor) -> Result<Tensor> {
        let inside = gradient.narrow(1, self.corner.0, self.copy.0)?.narrow(2, self.corner.1, self.copy.1)?;
        self.resize.pull_back(&inside.contiguous()?)
    }

    /// The copy of a mask of the frame's size, background around it.
    pub(super) fn mask(&self, mask: &Mask) -> Mask {
        let small = mask.resize(self.copy.1, self.copy.0);
        let (top, left) = self.corner;
        Mask::from_fn(self.frame.1, self.frame.0, |x, y| {
            let inside = (left..left + self.copy.1).contains(&x) && (top..top + self.copy.0).contains(&y);
            inside && small.get(x - left, y - top)
        })
    }

    /// Rows below the copy, columns to its right.
    fn rest(&self) -> (usize, usize) {
        (self.frame.0 - self.copy.0 - self.corner.0, self.frame.1 - self.copy.1 - self.corner.1)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::attack::harness::random::{Draw, RandomSource};
    use crate::imaging::Image;
    use crate::nn::testing::noise;

    fn stream(step: usize) -> Stream {
        let image = Image::new(1, 1, vec![0, 1, 2]).unwrap();
        RandomSource::new(5, &image).stream(Draw { restart: 0, step, purpose: "diversity" })
    }

    #[test]
    fn the_pull_back_is_the_transpose() -> Result<()> {
        for (step, (height, width)) in (0..40).flat_map(|step| [(step, (17, 12)), (step, (1, 1)), (step, (2, 30))]) {
            let draw = |seed| noise(seed, &[3, height, width])?.to_dtype(DType::F32);
            let (x, y) = (draw(1)?, draw(2)?);
            let moved = Moved::draw(&x, 0.5, &mut stream(step))?;
            let dot = |a: &Tensor, b: &Tensor| (a * b)?.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>();
            let (there, back) = (dot(&moved.image(&x)?, &y)?, dot(&x, &moved.pull_back(&y)?)?);
            assert!((there - back).abs() < 1e-5 * (1. + there.abs()), "{moved:?}: {there} and {back}");
        }
        Ok(())
    }

    #[test]
    fn mask_and_image_move_together() -> Result<()> {
        let mask = Mask::from_fn(40, 30, |x, y| (10..30).contains(&x) && (5..25).contains(&y));
        let x =
            mask.to_tensor(&candle_core::Device::Cpu).unwrap().unsqueeze(0)?.broadcast_left(3)?.reshape((3, 30, 40))?;
        let mut corners = std::collections::BTreeSet::new();
        for step in 0..50 {
            let moved = Moved::draw(&x, 0.6, &mut stream(step))?;
            let (seen, expected) = (moved.image(&x)?.get(0)?, moved.mask(&mask));
            let seen = Mask::from_logits(&(seen - 0.5)?).unwrap();
            let differ = seen.bits().iter().zip(expected.bits()).filter(|(a, b)| a != b).count();
            // Along the outline a bilinear half and the nearest pixel may disagree.
            assert!(differ <= 80, "{moved:?}: {differ}");
            let area = expected.area() as f64 / mask.area() as f64;
            assert!((0.3..=1.).contains(&area), "{area}");
            corners.insert(moved.corner);
        }
        assert!(corners.len() > 25, "copies lie in many places: {corners:?}");
        Ok(())
    }

    #[test]
    fn a_scale_of_one_is_the_image_itself() -> Result<()> {
        let x = noise(1, &[3, 5, 7])?.to_dtype(DType::F32)?;
        let moved = Moved::draw(&x, 1., &mut stream(0))?;
        assert_eq!(moved.image(&x)?.flatten_all()?.to_vec1::<f32>()?, x.flatten_all()?.to_vec1::<f32>()?);
        Ok(())
    }
}
