//! Bilinear resizing as PIL does it, with its exact transpose for gradients.
//!
//! A resizing is `rows x columns`, two matrices of the antialiased triangle filter that PIL calls `BILINEAR`. On the
//! CPU they are applied as what they are, narrow bands (`band`); on other devices as dense products.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor, bail};

use super::band::Band;
use crate::imaging::{Image, ImagingError, Mask};
use crate::nn::{slice, with_slices};

/// A resizing from one size to another, prepared for a device.
#[derive(Debug, Clone)]
pub struct Resize {
    from: (usize, usize),
    to: (usize, usize),
    forward: Pair,
    back: Pair,
}

/// What rows and columns are multiplied with.
#[derive(Debug, Clone)]
enum Pair {
    /// On the CPU.
    Bands(Arc<Bands>),
    /// `[to, from]` of the rows, `[from, to]` of the columns.
    Dense { rows: Tensor, columns: Tensor },
}

#[derive(Debug)]
struct Bands {
    rows: Band,
    columns: Band,
}

impl Resize {
    /// From one size to another, (height, width) each.
    ///
    /// # Errors
    /// Matrices that do not fit the device.
    pub fn new(from: (usize, usize), to: (usize, usize), device: &Device) -> Result<Self> {
        let (rows, columns) = (Band::triangle(from.0, to.0), Band::triangle(from.1, to.1));
        let back = Bands { rows: rows.transposed(), columns: columns.transposed() };
        let forward = Bands { rows, columns };
        Ok(Self { from, to, forward: forward.on(device)?, back: back.on(device)? })
    }

    /// The size it was prepared for, (height, width).
    pub fn from(&self) -> (usize, usize) {
        self.from
    }

    /// `[channels, from]` to `[channels, to]`, f32, differentiable.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.forward.apply(x, &self.back)
    }

    /// The transpose: `[channels, to]` to `[channels, from]`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn pull_back(&self, gradient: &Tensor) -> Result<Tensor> {
        self.back.apply(gradient, &self.forward)
    }
}

impl Bands {
    fn on(self, device: &Device) -> Result<Pair> {
        if device.is_cpu() {
            return Ok(Pair::Bands(Arc::new(self)));
        }
        let matrix = |band: &Band| Tensor::from_vec(band.dense(), (band.outputs(), band.inputs()), device);
        Ok(Pair::Dense { rows: matrix(&self.rows)?, columns: matrix(&self.columns)?.t()?.contiguous()? })
    }
}

impl Pair {
    fn apply(&self, x: &Tensor, transposed: &Self) -> Result<Tensor> {
        match (self, transposed) {
            (Self::Bands(bands), Self::Bands(back)) => {
                x.contiguous()?.apply_op1(Banded { bands: bands.clone(), back: back.clone() })
            }
            (Self::Dense { rows, columns }, _) => dense(rows, x, columns),
            (Self::Bands(_), Self::Dense { .. }) => bail!("a resizing is prepared for one device"),
        }
    }
}

/// `rows x columns` for every channel of `x` `[channels, h, w]`.
fn dense(rows: &Tensor, x: &Tensor, columns: &Tensor) -> Result<Tensor> {
    let (channels, height, _) = x.dims3()?;
    let x = x.contiguous()?.flatten_to(1)?.matmul(columns)?.reshape((channels, height, ()))?;
    rows.broadcast_left(channels)?.contiguous()?.matmul(&x)
}

/// The resizing as one operation on the CPU.
struct Banded {
    bands: Arc<Bands>,
    back: Arc<Bands>,
}

impl CustomOp1 for Banded {
    fn name(&self) -> &'static str {
        "resize"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (channels, height, width) = layout.shape().dims3()?;
        let Bands { rows, columns } = &*self.bands;
        if (height, width) != (rows.inputs(), columns.inputs()) {
            bail!("a resizing from {}x{} was given {height}x{width}", rows.inputs(), columns.inputs());
        }
        let to = (rows.outputs(), columns.outputs());
        let mut out = Vec::with_capacity(channels * to.0 * to.1);
        rows.across(&columns.along_lines(slice(x, layout)?), to.1, |row| out.extend_from_slice(row));
        Ok((CpuStorage::F32(out), (channels, to.0, to.1).into()))
    }

    fn bwd(&self, _x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let transposed = Self { bands: self.back.clone(), back: self.bands.clone() };
        Ok(Some(dy.contiguous()?.apply_op1(transposed)?))
    }
}

/// Bilinear resizing of logits `[h, w]` to `to` (height, width), before the threshold.
///
/// # Errors
/// A tensor of another rank.
pub fn upsample(logits: &Tensor, to: (usize, usize)) -> Result<Tensor> {
    Resize::new(logits.dims2()?, to, logits.device())?.forward(&logits.unsqueeze(0)?)?.squeeze(0)
}

/// The mask at another size of logits `[h, w]`: where they are above 0 once they are upsampled, that is probability
/// above one half. Logits of a GPU are copied before they are upsampled, not after.
///
/// # Errors
/// Logits of another size than the resizing was prepared for, or one that was not prepared for the CPU.
pub fn upsampled_mask(resize: &Resize, logits: &Tensor) -> std::result::Result<Mask, ImagingError> {
    let Pair::Bands(bands) = &resize.forward else {
        return Err(candle_core::Error::msg("masks are upsampled on the CPU: prepare the resizing for it").into());
    };
    if logits.dims() != [resize.from.0, resize.from.1] {
        let (found, from) = (logits.dims(), resize.from);
        return Err(candle_core::Error::msg(format!("a resizing from {from:?} was given {found:?}")).into());
    }
    let logits = logits.to_device(&Device::Cpu)?.to_dtype(candle_core::DType::F32)?;
    let (height, width) = resize.to;
    let mut bits = Vec::with_capacity(height * width);
    with_slices([&logits], |[logits]: [&[f32]; 1]| {
        let wide = bands.columns.along_lines(logits);
        bands.rows.across(&wide, width, |row| bits.extend(row.iter().map(|z| *z > 0.)));
    })?;
    Mask::new(width, height, bits)
}

/// An 8-bit image at another size, through the same filter as the network's input.
///
/// # Errors
/// A size of zero.
pub fn resize_image(image: &Image, (height, width): (usize, usize)) -> std::result::Result<Image, ImagingError> {
    let x = image.to_tensor(&Device::Cpu)?;
    let resize = Resize::new((image.height(), image.width()), (height, width), x.device())?;
    Image::from_tensor(&resize.forward(&x)?)
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Var};

    use super::*;
    use crate::nn::testing::noise;

    const SIZES: [[(usize, usize); 2]; 7] = [
        [(270, 400), (176, 176)],
        [(176, 176), (320, 360)],
        [(37, 29), (16, 16)],
        [(5, 80), (16, 16)],
        [(8, 8), (16, 17)],
        [(1, 1), (3, 2)],
        [(900, 1300), (50, 63)],
    ];

    fn floats(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    fn image(seed: u64, (h, w): (usize, usize)) -> Tensor {
        noise(seed, &[3, h, w]).unwrap().to_dtype(DType::F32).unwrap()
    }

    #[test]
    fn bands_agree_with_dense_products_in_both_directions() -> Result<()> {
        for [from, to] in SIZES {
            let (rows, columns) = (Band::triangle(from.0, to.0), Band::triangle(from.1, to.1));
            let matrix = |band: &Band| Tensor::from_vec(band.dense(), (band.outputs(), band.inputs()), &Device::Cpu);
            let (left, right) = (matrix(&rows)?, matrix(&columns)?);
            let resize = Resize::new(from, to, &Device::Cpu)?;
            let (x, y) = (image(1, from), image(2, to));
            for (found, wanted) in [
                (resize.forward(&x)?, dense(&left, &x, &right.t()?.contiguous()?)?),
                (resize.pull_back(&y)?, dense(&left.t()?.contiguous()?, &y, &right)?),
            ] {
                let worst = (&found - &wanted)?.abs()?.max_all()?.to_scalar::<f32>()?;
                let scale = wanted.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(worst <= 1e-6 * scale.max(1.), "{from:?} to {to:?}: {worst}");
            }
        }
        Ok(())
    }

    #[test]
    fn the_gradient_goes_through_the_transpose() -> Result<()> {
        for [from, to] in SIZES {
            let resize = Resize::new(from, to, &Device::Cpu)?;
            let (x, y) = (Var::from_tensor(&image(1, from))?, image(2, to));
            let gradients = (resize.forward(&x)? * &y)?.sum_all()?.backward()?;
            let found = gradients.get(x.as_tensor()).expect("a gradient");
            assert_eq!(floats(found), floats(&resize.pull_back(&y)?));
            // The map is linear, so one inner product tells whether it is the transpose.
            let double = |a: &Tensor, b: &Tensor| (a * b)?.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>();
            let (there, back) = (double(&resize.forward(&x)?, &y)?, double(&x, found)?);
            assert!((there - back).abs() < 1e-3 * there.abs().max(1.), "{from:?} to {to:?}: {there} and {back}");
        }
        Ok(())
    }

    #[test]
    fn a_mask_is_the_sign_of_the_upsampled_logits() -> Result<()> {
        for [from, to] in SIZES {
            let logits = noise(3, &[from.0, from.1])?.to_dtype(DType::F32)?;
            let mask = upsampled_mask(&Resize::new(from, to, &Device::Cpu)?, &logits).unwrap();
            assert_eq!(mask, Mask::from_logits(&upsample(&logits, to)?).unwrap());
        }
        let resize = Resize::new((4, 4), (8, 8), &Device::Cpu)?;
        assert!(upsampled_mask(&resize, &noise(3, &[4, 5])?).is_err_and(|error| error.to_string().contains("[4, 5]")));
        Ok(())
    }

    #[test]
    fn another_shape_is_an_error() -> Result<()> {
        let resize = Resize::new((4, 5), (8, 8), &Device::Cpu)?;
        assert!(resize.forward(&image(1, (5, 4))).is_err());
        assert!(resize.forward(&image(1, (4, 5)).to_dtype(DType::F64)?).is_err());
        assert!(resize.pull_back(&image(1, (4, 5))).is_err());
        Ok(())
    }
}
