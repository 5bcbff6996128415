//! Adam: steps that are scaled by what gradients were like on the way.

use candle_core::{Result, Tensor};

/// Weights of the past in the running means of the gradient and of its square.
const PAST: [f64; 2] = [0.9, 0.999];

/// Keeps a division from failing where no gradient ever was. The usual 1e-8 would outweigh the gradient of a mean over
/// all pixels.
pub const SMALLEST: f64 = 1e-12;

/// The running means of Kingma and Ba 2015, arXiv 1412.6980, algorithm 1, with the paper's constants.
#[derive(Debug, Clone)]
pub struct Adam {
    /// Length of a step along a gradient that stays the same.
    pub rate: f64,
    /// Steps taken.
    pub taken: usize,
    /// The running means of the gradient and of its square.
    pub means: [Tensor; 2],
}

impl Adam {
    /// Before the first step, for gradients in the shape and on the device of `like`.
    ///
    /// # Errors
    /// A device that failed.
    pub fn new(rate: f64, like: &Tensor) -> Result<Self> {
        let zero = like.zeros_like()?;
        Ok(Self { rate, taken: 0, means: [zero.clone(), zero] })
    }

    /// Takes the next gradient into the means, and answers by what share they have grown from the zeros they began as.
    ///
    /// # Errors
    /// A gradient of another shape.
    pub fn remember(&mut self, gradient: &Tensor) -> Result<[f64; 2]> {
        self.taken += 1;
        let mix = |mean: &Tensor, new: &Tensor, past: f64| (mean * past)? + (new * (1. - past))?;
        self.means = [mix(&self.means[0], gradient, PAST[0])?, mix(&self.means[1], &gradient.sqr()?, PAST[1])?];
        Ok(PAST.map(|past| 1. - past.powi(i32::try_from(self.taken).unwrap_or(i32::MAX))))
    }

    /// The step uphill for the next gradient: to be added to a point, or taken from it on the way down.
    ///
    /// # Errors
    /// A gradient of another shape.
    pub fn step(&mut self, gradient: &Tensor) -> Result<Tensor> {
        let grown = self.remember(gradient)?;
        let size = ((&self.means[1] / grown[1])?.sqrt()? + SMALLEST)?;
        (&self.means[0] * (self.rate / grown[0]))? / size
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn steps_are_those_of_the_algorithm() {
        let gradients = [[0.5f32, -2., 0.], [0.25, 1., 0.]].map(|g| Tensor::new(&g, &Device::Cpu).unwrap());
        let mut adam = Adam::new(0.01, &gradients[0]).unwrap();
        // The first step is the rate along the sign, whatever the size.
        let first: Vec<f32> = adam.step(&gradients[0]).unwrap().to_vec1().unwrap();
        let second: Vec<f32> = adam.step(&gradients[1]).unwrap().to_vec1().unwrap();
        let by_hand = |g: [f64; 2]| {
            let m = (0.9 * 0.1 * g[0] + 0.1 * g[1]) / (1. - 0.81);
            let v = (0.999 * 0.001 * g[0] * g[0] + 0.001 * g[1] * g[1]) / (1. - 0.999f64.powi(2));
            0.01 * m / (v.sqrt() + 1e-12)
        };
        for (found, wanted) in first.iter().zip([0.01, -0.01, 0.]) {
            assert!((f64::from(*found) - wanted).abs() < 1e-7, "{found}");
        }
        for (found, wanted) in second.iter().zip([by_hand([0.5, 0.25]), by_hand([-2., 1.]), 0.]) {
            assert!((f64::from(*found) - wanted).abs() < 1e-7, "{found} {wanted}");
        }
    }
}
