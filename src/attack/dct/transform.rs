//! The lowest frequencies of an image, by the orthonormal discrete cosine transform (DCT-II).

use std::f64::consts::PI;

use candle_core::{Device, Result, Tensor};

/// Keeps the lowest frequencies of images of one size.
#[derive(Debug)]
pub(super) struct LowPass {
    /// `[kept, h]` and `[kept, w]`: one row for each frequency.
    rows: Tensor,
    columns: Tensor,
}

impl LowPass {
    /// For images like `image` `[3, h, w]`: at most `kept` frequencies along each axis.
    pub(super) fn new(image: &Tensor, kept: usize) -> Result<Self> {
        let (_, height, width) = image.dims3()?;
        let basis = |pixels: usize| basis(kept.min(pixels), pixels, image.device());
        Ok(Self { rows: basis(height)?, columns: basis(width)? })
    }

    /// The part of `x` `[3, h, w]` in the lowest frequencies: transformed, cut off and transformed back.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Tensor> {
        let (channels, height, width) = x.dims3()?;
        let along = |lines: &Tensor, basis: &Tensor| lines.matmul(&basis.t()?)?.matmul(basis);
        let lines = along(&x.contiguous()?.reshape((channels * height, width))?, &self.columns)?;
        let turned = lines.reshape((channels, height, width))?.transpose(1, 2)?.contiguous()?;
        let lines = along(&turned.reshape((channels * width, height))?, &self.rows)?;
        lines.reshape((channels, width, height))?.transpose(1, 2)?.contiguous()
    }
}

/// `[kept, pixels]`: cosines of unit length, orthogonal to each other.
fn basis(kept: usize, pixels: usize, device: &Device) -> Result<Tensor> {
    let n = pixels as f64;
    let value = |frequency: usize, pixel: usize| {
        let length = if frequency == 0 { 1. / n } else { 2. / n };
        (length.sqrt() * (PI * (2. * pixel as f64 + 1.) * frequency as f64 / (2. * n)).cos()) as f32
    };
    let values: Vec<f32> = (0..kept).flat_map(|f| (0..pixels).map(move |p| value(f, p))).collect();
    Tensor::from_vec(values, (kept, pixels), device)
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::nn::testing::noise;

    fn image() -> Tensor {
        noise(4, &[3, 9, 14]).unwrap().to_dtype(DType::F32).unwrap()
    }

    fn worst(a: &Tensor, b: &Tensor) -> f32 {
        (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
    }

    #[test]
    fn all_frequencies_are_the_image_and_one_is_its_mean() {
        let x = image();
        assert!(worst(&LowPass::new(&x, 14).unwrap().apply(&x).unwrap(), &x) < 1e-5);
        let mean = x.mean_keepdim((1, 2)).unwrap().broadcast_as(x.shape()).unwrap();
        assert!(worst(&LowPass::new(&x, 1).unwrap().apply(&x).unwrap(), &mean) < 1e-5);
    }

    #[test]
    fn what_was_kept_is_kept_again_and_is_orthogonal_to_the_rest() {
        let x = image();
        let low_pass = LowPass::new(&x, 4).unwrap();
        let kept = low_pass.apply(&x).unwrap();
        assert!(worst(&low_pass.apply(&kept).unwrap(), &kept) < 1e-5);
        let rest = (&x - &kept).unwrap();
        let product: f32 = (rest * &kept).unwrap().sum_all().unwrap().to_scalar().unwrap();
        assert!(product.abs() < 1e-3, "{product}");
    }

    #[test]
    fn a_cosine_passes_below_the_cut_and_not_above() {
        let wave = |frequency: usize| {
            let line = basis(frequency + 1, 14, &Device::Cpu).unwrap().get(frequency).unwrap();
            line.broadcast_as((3, 9, 14)).unwrap().contiguous().unwrap()
        };
        let low_pass = LowPass::new(&wave(0), 5).unwrap();
        assert!(worst(&low_pass.apply(&wave(4)).unwrap(), &wave(4)) < 1e-6);
        assert!(low_pass.apply(&wave(5)).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-6);
    }
}
