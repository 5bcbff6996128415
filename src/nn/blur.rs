//! Gaussian blur, one axis after the other.

use candle_core::{Result, Tensor, bail};

/// What lies outside the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// Zeros: the blur is its own transpose.
    Zero,
    /// The value at the frame: a constant stays one.
    Edge,
}

/// A symmetric kernel of weights that sum to one.
#[derive(Debug, Clone, PartialEq)]
pub struct Gaussian {
    weights: Vec<f64>,
}

impl Gaussian {
    /// A kernel of `2 * radius + 1` weights that ends at three standard deviations; radius 0 is the identity.
    pub fn within(radius: usize) -> Self {
        let sigma = (radius as f64 / 3.).max(f64::MIN_POSITIVE);
        let bell = |at: usize| (-0.5 * ((at as f64 - radius as f64) / sigma).powi(2)).exp();
        let weights: Vec<f64> = (0..=2 * radius).map(bell).collect();
        let sum: f64 = weights.iter().sum();
        Self { weights: weights.into_iter().map(|weight| weight / sum).collect() }
    }

    /// The weights.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// Blurs `[.., h, w]` over its last two dimensions.
    ///
    /// # Errors
    /// A tensor of fewer dimensions.
    pub fn blur(&self, x: &Tensor, frame: Frame) -> Result<Tensor> {
        let rank = x.rank();
        if rank < 2 {
            bail!("a blur needs a picture [.., h, w], found {:?}", x.dims());
        }
        self.along(&self.along(x, rank - 2, frame)?, rank - 1, frame)
    }

    fn along(&self, x: &Tensor, dim: usize, frame: Frame) -> Result<Tensor> {
        let (radius, length) = (self.weights.len() / 2, x.dim(dim)?);
        let wide = match frame {
            Frame::Zero => x.pad_with_zeros(dim, radius, radius)?,
            Frame::Edge => x.pad_with_same(dim, radius, radius)?,
        };
        let shifted = |at: usize| wide.narrow(dim, at, length);
        let first = (shifted(0)? * self.weights[0])?;
        self.weights.iter().enumerate().skip(1).try_fold(first, |sum, (at, weight)| sum + (shifted(at)? * *weight)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::noise;

    #[test]
    fn a_point_becomes_the_product_of_the_weights() -> Result<()> {
        let kernel = Gaussian::within(2);
        assert!((kernel.weights().iter().sum::<f64>() - 1.).abs() < 1e-15);
        assert!((kernel.weights()[1] / kernel.weights()[2] - (-0.5f64 * 1.5 * 1.5).exp()).abs() < 1e-15);
        let mut point = vec![0f64; 81];
        point[40] = 1.;
        let x = Tensor::from_vec(point, (9, 9), &candle_core::Device::Cpu)?;
        for frame in [Frame::Zero, Frame::Edge] {
            let y = kernel.blur(&x, frame)?.to_vec2::<f64>()?;
            assert!((y[3][6] - kernel.weights()[1] * kernel.weights()[4]).abs() < 1e-15);
            assert_eq!(y[1][4], 0.);
        }
        Ok(())
    }

    #[test]
    fn with_zeros_outside_it_is_its_own_transpose_and_with_edges_a_constant_stays() -> Result<()> {
        let kernel = Gaussian::within(3);
        for shape in [[3, 5, 8], [3, 1, 2]] {
            let (x, y) = (noise(1, &shape)?, noise(2, &shape)?);
            let dot = |a: &Tensor, b: &Tensor| (a * b)?.sum_all()?.to_scalar::<f64>();
            let there = dot(&kernel.blur(&x, Frame::Zero)?, &y)?;
            assert!((there - dot(&x, &kernel.blur(&y, Frame::Zero)?)?).abs() < 1e-12);
            let constant = kernel.blur(&x.ones_like()?, Frame::Edge)?;
            assert!((constant - 1.)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-14);
        }
        let x = noise(3, &[2, 3, 4])?;
        assert_eq!(
            Gaussian::within(0).blur(&x, Frame::Zero)?.flatten_all()?.to_vec1::<f64>()?,
            x.flatten_all()?.to_vec1::<f64>()?
        );
        Ok(())
    }
}
