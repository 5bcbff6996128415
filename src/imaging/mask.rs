//! A set of pixels.

use candle_core::{Device, Tensor};

use super::{Image, ImagingError};

/// A binary mask, row-major.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    width: usize,
    height: usize,
    bits: Vec<bool>,
}

impl Mask {
    /// Wraps row-major bits.
    ///
    /// # Errors
    /// [`ImagingError::Size`] unless there are `width * height` bits, and at least one.
    pub fn new(width: usize, height: usize, bits: Vec<bool>) -> Result<Self, ImagingError> {
        let wanted = width * height;
        if bits.len() != wanted || wanted == 0 {
            return Err(ImagingError::Size { what: "mask", width, height, wanted, found: bits.len() });
        }
        Ok(Self { width, height, bits })
    }

    /// A mask whose pixel at column `x`, row `y` is `inside(x, y)`.
    ///
    /// # Panics
    /// If `width` or `height` is zero.
    pub fn from_fn(width: usize, height: usize, mut inside: impl FnMut(usize, usize) -> bool) -> Self {
        assert!(width > 0 && height > 0, "a mask needs at least one pixel");
        let bits = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| inside(x, y)).collect();
        Self { width, height, bits }
    }

    /// The pixels whose logit in `[height, width]` is above zero, that is probability above one half.
    ///
    /// # Errors
    /// A tensor of another rank.
    pub fn from_logits(logits: &Tensor) -> Result<Self, ImagingError> {
        let (height, width) = logits.dims2()?;
        let values = logits.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
        Self::new(width, height, values.iter().map(|z| *z > 0.).collect())
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The row-major bits.
    pub fn bits(&self) -> &[bool] {
        &self.bits
    }

    /// Whether the pixel at column `x`, row `y` belongs to the mask.
    pub fn get(&self, x: usize, y: usize) -> bool {
        self.bits[y * self.width + x]
    }

    /// Number of pixels in the mask.
    pub fn area(&self) -> usize {
        self.bits.iter().filter(|b| **b).count()
    }

    /// The pixels that are not in `other`, a mask of the same size.
    ///
    /// # Panics
    /// If the sizes differ.
    pub fn without(&self, other: &Self) -> Self {
        assert_eq!((self.width, self.height), (other.width, other.height), "masks of one size");
        let bits = self.bits.iter().zip(&other.bits).map(|(here, there)| *here && !there).collect();
        Self { bits, ..*self }
    }

    /// Refuses a mask of another size than its image.
    ///
    /// # Errors
    /// [`ImagingError::Mismatch`] with both sizes.
    pub fn check_fits(&self, image: &Image) -> Result<(), ImagingError> {
        let (found, image) = ((self.width, self.height), (image.width(), image.height()));
        if found != image {
            return Err(ImagingError::Mismatch { what: "the mask", found, image });
        }
        Ok(())
    }

    /// Nearest-neighbour copy at another size; pixel centres are aligned as in PIL's `NEAREST`.
    ///
    /// # Panics
    /// If `width` or `height` is zero.
    pub fn resize(&self, width: usize, height: usize) -> Self {
        let source = |at: usize, to: usize, from: usize| ((2 * at + 1) * from / (2 * to)).min(from - 1);
        Self::from_fn(width, height, |x, y| self.get(source(x, width, self.width), source(y, height, self.height)))
    }

    /// `[height, width]` of 0 and 1, f32.
    ///
    /// # Errors
    /// A tensor that does not fit the device.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor, ImagingError> {
        let values: Vec<f32> = self.bits.iter().map(|b| f32::from(u8::from(*b))).collect();
        Ok(Tensor::from_vec(values, (self.height, self.width), device)?)
    }
}
