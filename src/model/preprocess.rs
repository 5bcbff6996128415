//! From an image in [0, 1] at its own size to the network's input, as a linear map.
//!
//! Resizing is linear, and normalisation is one scale and shift per channel. Both have exact transposes,
//! so an attack perturbs the submitted image, not its resized copy.

use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};

use super::Resize;

/// Input size, mean and standard deviation of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocess {
    /// Height of the network's input in pixels.
    pub height: usize,
    /// Width of the network's input in pixels.
    pub width: usize,
    /// Per-channel mean in [0, 1].
    pub mean: [f32; 3],
    /// Per-channel standard deviation in [0, 1].
    pub std: [f32; 3],
}

impl Preprocess {
    /// `pixel_values` `[3, self.height, self.width]` of an image `[3, h, w]` in [0, 1].
    ///
    /// # Errors
    /// A tensor of another rank.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (_, h, w) = x.dims3()?;
        self.normalise(&self.resize((h, w), x.device())?.forward(x)?)
    }

    /// The transpose of the linear part of [`Self::forward`]: a gradient with respect to
    /// `pixel_values` becomes one with respect to the image `[3, h, w]`.
    ///
    /// # Errors
    /// A tensor of another shape than `[3, self.height, self.width]`.
    pub fn pull_back(&self, gradient: &Tensor, from: (usize, usize)) -> Result<Tensor> {
        self.pull_back_through(&self.resize(from, gradient.device())?, gradient)
    }

    /// The resizing of images of one size, prepared for many of them.
    ///
    /// # Errors
    /// Matrices that do not fit the device.
    pub fn resize(&self, from: (usize, usize), device: &Device) -> Result<Resize> {
        Resize::new(from, (self.height, self.width), device)
    }

    /// [`Self::forward`] with a prepared resizing.
    ///
    /// # Errors
    /// A tensor of another shape than the resizing was prepared for.
    pub fn forward_through(&self, resize: &Resize, x: &Tensor) -> Result<Tensor> {
        self.normalise(&resize.forward(x)?)
    }

    /// [`Self::pull_back`] with a prepared resizing.
    ///
    /// # Errors
    /// A tensor of another shape than `[3, self.height, self.width]`.
    pub fn pull_back_through(&self, resize: &Resize, gradient: &Tensor) -> Result<Tensor> {
        resize.pull_back(&gradient.broadcast_div(&channels(&self.std, gradient.device())?)?)
    }

    /// `(x - mean) / std` per channel.
    ///
    /// # Errors
    /// A tensor whose third dimension from the end is not 3.
    pub fn normalise(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_sub(&channels(&self.mean, x.device())?)?.broadcast_div(&channels(&self.std, x.device())?)
    }

    /// `x * std + mean` per channel, the inverse of [`Self::normalise`].
    ///
    /// # Errors
    /// A tensor whose third dimension from the end is not 3.
    pub fn denormalise(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_mul(&channels(&self.std, x.device())?)?.broadcast_add(&channels(&self.mean, x.device())?)
    }
}

fn channels(values: &[f32; 3], device: &Device) -> Result<Tensor> {
    Tensor::from_slice(values, (3, 1, 1), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::upsample;
    use crate::nn::testing::noise;

    const TO: usize = 16;

    fn preprocess() -> Preprocess {
        Preprocess { height: TO, width: TO, mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.25] }
    }

    fn dot(a: &Tensor, b: &Tensor) -> Result<f64> {
        (a * b)?.to_dtype(candle_core::DType::F64)?.sum_all()?.to_scalar()
    }

    #[test]
    fn the_pull_back_is_the_transpose_of_the_linear_part() -> Result<()> {
        for (h, w) in [(16, 16), (37, 29), (5, 80), (8, 8), (1, 1)] {
            let x = noise(1, &[3, h, w])?.to_dtype(candle_core::DType::F32)?;
            let y = noise(2, &[3, TO, TO])?.to_dtype(candle_core::DType::F32)?;
            let zero = preprocess().forward(&x.zeros_like()?)?;
            let forward = dot(&(preprocess().forward(&x)? - zero)?, &y)?;
            let back = dot(&x, &preprocess().pull_back(&y, (h, w))?)?;
            assert!((forward - back).abs() < 1e-3 * forward.abs().max(1.), "{h}x{w}: {forward} and {back}");
        }
        Ok(())
    }

    #[test]
    fn a_constant_image_stays_constant_and_its_own_size_is_the_identity() -> Result<()> {
        let x = (Tensor::ones((3, 31, 50), candle_core::DType::F32, &Device::Cpu)? * 0.5)?;
        let y = preprocess().denormalise(&preprocess().forward(&x)?)?;
        assert!((y - 0.5)?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-6);
        let logits = noise(3, &[TO, TO])?.to_dtype(candle_core::DType::F32)?;
        assert_eq!(upsample(&logits, (TO, TO))?.to_vec2::<f32>()?, logits.to_vec2::<f32>()?);
        Ok(())
    }
}
