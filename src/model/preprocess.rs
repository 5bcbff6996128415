//! From an image in [0, 1] at its own size to the network's input, as a linear map.
//!
//! Resizing is two matrix products, `R_h x R_w^T`, with the antialiased triangle filter that PIL
//! calls `BILINEAR`; normalisation is one scale and shift per channel. Both have exact transposes,
//! so an attack perturbs the submitted image, not its resized copy.

use candle_core::{Device, Result, Tensor};

use crate::imaging::{Image, ImagingError};

/// Input size, mean and standard deviation of a network.
#[derive(Debug, Clone, PartialEq)]
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
        self.normalise(&apply(x, &matrices((h, w), (self.height, self.width), x.device())?)?)
    }

    /// The transpose of the linear part of [`Self::forward`]: a gradient with respect to
    /// `pixel_values` becomes one with respect to the image `[3, h, w]`.
    ///
    /// # Errors
    /// A tensor of another shape than `[3, self.height, self.width]`.
    pub fn pull_back(&self, gradient: &Tensor, (h, w): (usize, usize)) -> Result<Tensor> {
        let g = gradient.broadcast_div(&channels(&self.std, gradient.device())?)?;
        let (rows, columns) = matrices((h, w), (self.height, self.width), gradient.device())?;
        apply(&g, &(rows.t()?.contiguous()?, columns.t()?.contiguous()?))
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

/// Bilinear upsampling of logits `[h, w]` to `(height, width)`, before the threshold.
///
/// # Errors
/// A tensor of another rank.
pub fn upsample(logits: &Tensor, to: (usize, usize)) -> Result<Tensor> {
    let (h, w) = logits.dims2()?;
    let (rows, columns) = matrices((h, w), to, logits.device())?;
    rows.matmul(&logits.contiguous()?)?.matmul(&columns.t()?.contiguous()?)
}

/// An 8-bit image at another size, through the same filter as the network's input.
///
/// # Errors
/// A size of zero.
pub fn resize_image(image: &Image, (height, width): (usize, usize)) -> std::result::Result<Image, ImagingError> {
    let x = image.to_tensor(&Device::Cpu)?;
    let resize = matrices((image.height(), image.width()), (height, width), x.device())?;
    Image::from_tensor(&apply(&x, &resize)?)
}

fn channels(values: &[f32; 3], device: &Device) -> Result<Tensor> {
    Tensor::from_slice(values, (3, 1, 1), device)
}

fn apply(x: &Tensor, (rows, columns): &(Tensor, Tensor)) -> Result<Tensor> {
    let x = x.contiguous()?;
    rows.broadcast_left(x.dim(0)?)?
        .contiguous()?
        .matmul(&x)?
        .matmul(&columns.t()?.contiguous()?.broadcast_left(x.dim(0)?)?.contiguous()?)
}

fn matrices(from: (usize, usize), to: (usize, usize), device: &Device) -> Result<(Tensor, Tensor)> {
    let one = |from: usize, to: usize| Tensor::from_vec(triangle(from, to), (to, from), device);
    Ok((one(from.0, to.0)?, one(from.1, to.1)?))
}

/// The `[to, from]` matrix of PIL's antialiased triangle filter: support scales when shrinking.
fn triangle(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.);
    let mut matrix = vec![0f32; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let centre = (i as f64 + 0.5) * scale;
        let first = ((centre - support + 0.5).floor().max(0.)) as usize;
        let last = ((centre + support + 0.5).floor() as usize).min(from);
        let weight = |j: usize| (1. - ((j as f64 + 0.5 - centre) / support).abs()).max(0.);
        let total: f64 = (first..last).map(weight).sum();
        for (j, value) in row.iter_mut().enumerate().take(last).skip(first) {
            *value = (weight(j) / total) as f32;
        }
    }
    matrix
}
