//! The convolutions of CLIPSeg as matrix products, on maps `[batch, height, width, channels]`.
//!
//! Convolutions whose stride equals their kernel only rearrange numbers around one product; the
//! 3x3 convolution gathers nine shifted copies first. Every rearrangement is linear and
//! differentiable, so the gradient is exact and no weight gradient is made for frozen weights.

mod neighbours;
mod permute;

use candle_core::{Result, Tensor};

use super::Linear;
use neighbours::neighbours;
use permute::permute;

/// Splits `[batch, channels, height, width]` into patches:
/// `[batch, height/p * width/p, channels * p * p]`.
///
/// # Errors
/// A height or width that `p` does not divide.
pub fn patchify(x: &Tensor, p: usize) -> Result<Tensor> {
    let (b, c, h, w) = x.dims4()?;
    if h % p != 0 || w % p != 0 {
        candle_core::bail!("an image of {h}x{w} does not divide into patches of {p}");
    }
    permute(x, [b, c, h / p, p, w / p, p], [0, 2, 4, 1, 3, 5])?.reshape((b, (h / p) * (w / p), c * p * p))
}

/// 3x3 convolution with padding 1; `kernel` maps `9 * channels` (row, column, channel) to outputs.
///
/// # Errors
/// Channels that do not fit the kernel.
pub fn conv3x3(x: &Tensor, kernel: &Linear) -> Result<Tensor> {
    let (b, h, w, _) = x.dims4()?;
    let y = kernel.forward(&neighbours(x)?)?;
    let out = y.dim(2)?;
    y.reshape((b, h, w, out))
}

/// Transposed convolution with stride = kernel = `k`; `kernel` maps channels to
/// `outputs * k * k` (output, row, column).
///
/// # Errors
/// Channels that do not fit the kernel.
pub fn transposed_convolution(x: &Tensor, kernel: &Linear, k: usize) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let y = kernel.forward(&x.reshape((b, h * w, c))?)?;
    let out = y.dim(2)? / (k * k);
    permute(&y, [b, h, w, out, k, k], [0, 1, 4, 2, 5, 3])?.reshape((b, h * k, w * k, out))
}

#[cfg(test)]
// the stock convolutions are the reference
#[allow(clippy::disallowed_methods)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::nn::testing::{gradient_error, noise};

    fn close(a: &Tensor, b: &Tensor) -> Result<bool> {
        Ok((a - b)?.abs()?.max_all()?.to_scalar::<f64>()? < 1e-12)
    }

    #[test]
    fn a_patch_product_is_a_strided_convolution() -> Result<()> {
        let (x, w) = (noise(1, &[2, 3, 8, 12])?, noise(2, &[5, 3, 4, 4])?);
        let wanted = x.conv2d(&w, 0, 4, 1, 1)?.flatten_from(2)?.transpose(1, 2)?;
        let found = Linear::new(&w.flatten_from(1)?, None)?.forward(&patchify(&x, 4)?)?;
        assert!(close(&wanted.contiguous()?, &found)?);
        assert!(patchify(&x, 5).is_err());
        Ok(())
    }

    #[test]
    fn the_3x3_convolution_agrees_with_the_stock_one() -> Result<()> {
        let (x, w) = (noise(1, &[2, 4, 5, 6])?, noise(2, &[3, 4, 3, 3])?);
        let wanted = x.conv2d(&w, 1, 1, 1, 1)?.permute((0, 2, 3, 1))?.contiguous()?;
        let kernel = Linear::new(&w.permute((0, 2, 3, 1))?.flatten_from(1)?, None)?;
        let map = Var::from_tensor(&x.permute((0, 2, 3, 1))?.contiguous()?)?;
        assert!(close(&wanted, &conv3x3(&map, &kernel)?)?);
        assert!(gradient_error(&map, || conv3x3(&map, &kernel))? < 1e-7);
        Ok(())
    }

    #[test]
    fn the_transposed_convolution_agrees_with_the_stock_one() -> Result<()> {
        let (x, w) = (noise(1, &[2, 4, 3, 5])?, noise(2, &[4, 3, 2, 2])?);
        let wanted = x.conv_transpose2d(&w, 0, 0, 2, 1)?.permute((0, 2, 3, 1))?.contiguous()?;
        let kernel = Linear::new(&w.flatten_from(1)?.t()?.contiguous()?, None)?;
        let map = Var::from_tensor(&x.permute((0, 2, 3, 1))?.contiguous()?)?;
        assert!(close(&wanted, &transposed_convolution(&map, &kernel, 2)?)?);
        assert!(gradient_error(&map, || transposed_convolution(&map, &kernel, 2))? < 1e-7);
        Ok(())
    }
}
