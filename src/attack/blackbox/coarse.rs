//! Random directions of few dimensions: drawn on a coarse grid, spread over the image.
//!
//! An estimate from n questions is worth about n of all its dimensions. A model sees smooth changes best, so the
//! questions are spent on those.

use candle_core::{DType, Result, Tensor};

use crate::attack::harness::random::Stream;
use crate::model::Resize;

/// The space of directions that are constant or linear between the points of a grid.
#[derive(Debug)]
pub(super) struct Coarse {
    /// `[3, rows, columns]`, all zero.
    grid: Tensor,
    /// From the grid to the image; `None` if the grid is the image's own.
    spread: Option<Resize>,
}

impl Coarse {
    /// Of images like `image` `[3, h, w]`: a grid of `side` x `side` points, or fewer if the image has fewer.
    pub(super) fn new(image: &Tensor, side: usize) -> Result<Self> {
        let (channels, height, width) = image.dims3()?;
        let (rows, columns) = (side.clamp(1, height), side.clamp(1, width));
        let grid = Tensor::zeros((channels, rows, columns), DType::F32, image.device())?;
        let spread = if (rows, columns) == (height, width) {
            None
        } else {
            Some(Resize::new((rows, columns), (height, width), image.device())?)
        };
        Ok(Self { grid, spread })
    }

    /// The direction that leads nowhere, on the grid.
    pub(super) fn zero(&self) -> &Tensor {
        &self.grid
    }

    /// A direction on the grid.
    pub(super) fn draw(&self, stream: &mut Stream, number: fn(&mut Stream) -> f64) -> Result<Tensor> {
        stream.fill(&self.grid, number)
    }

    /// A direction of the grid as one of the image `[3, h, w]`.
    pub(super) fn spread(&self, direction: &Tensor) -> Result<Tensor> {
        match &self.spread {
            None => Ok(direction.clone()),
            Some(resize) => resize.forward(direction),
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::attack::harness::random::{Draw, RandomSource};
    use crate::imaging::Image;

    #[test]
    fn directions_are_smooth_and_no_longer_than_they_were() {
        let image = Tensor::zeros((3, 40, 60), DType::F32, &Device::Cpu).unwrap();
        let source = RandomSource::new(1, &Image::new(1, 1, vec![0; 3]).unwrap());
        let mut stream = source.stream(Draw { restart: 0, step: 0, purpose: "test" });
        let coarse = Coarse::new(&image, 4).unwrap();
        assert_eq!(coarse.zero().dims(), [3, 4, 4]);
        let sign = |s: &mut Stream| if s.uniform() < 0.5 { -1. } else { 1. };
        let direction = coarse.draw(&mut stream, sign).unwrap();
        let spread = coarse.spread(&direction).unwrap();
        assert_eq!(spread.dims(), [3, 40, 60]);
        let rows: Vec<Vec<f32>> = spread.get(0).unwrap().to_vec2().unwrap();
        // Ten rows between two points of the grid: from -1 to 1 by at most a fifth each.
        assert!(rows.windows(2).all(|pair| pair[0].iter().zip(&pair[1]).all(|(a, b)| (a - b).abs() < 0.21)));
        assert!(rows.iter().flatten().all(|v| v.abs() <= 1.0001) && rows.iter().flatten().any(|v| v.abs() > 0.9));

        let fine = Coarse::new(&image, 1000).unwrap();
        assert_eq!(fine.zero().dims(), [3, 40, 60]);
        let direction = fine.draw(&mut stream, Stream::normal).unwrap();
        assert_eq!(
            fine.spread(&direction).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            direction.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
    }
}
