//! An 8-bit RGB picture at its own size.

use candle_core::{DType, Device, Tensor};

use super::ImagingError;

/// An 8-bit RGB picture, row-major, channels interleaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Image {
    /// Wraps interleaved RGB bytes.
    ///
    /// # Errors
    /// [`ImagingError::Size`] unless there are `width * height * 3` bytes, and at least one pixel.
    pub fn new(width: usize, height: usize, rgb: Vec<u8>) -> Result<Self, ImagingError> {
        let wanted = width * height * 3;
        if rgb.len() != wanted || wanted == 0 {
            return Err(ImagingError::Size { what: "image", width, height, wanted, found: rgb.len() });
        }
        Ok(Self { width, height, rgb })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The interleaved RGB bytes.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    /// The red, green and blue level at column `x`, row `y`.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }

    /// `[3, height, width]` in [0, 1], f32.
    ///
    /// # Errors
    /// A tensor that does not fit the device.
    pub fn to_tensor(&self, device: &Device) -> Result<Tensor, ImagingError> {
        let bytes = Tensor::from_slice(&self.rgb, (self.height, self.width, 3), &Device::Cpu)?;
        let unit = (bytes.permute((2, 0, 1))?.contiguous()?.to_dtype(DType::F32)? / 255.)?;
        Ok(unit.to_device(device)?)
    }

    /// Rounds `[3, height, width]` in [0, 1] to 8 bits; values outside are clamped.
    ///
    /// # Errors
    /// A tensor of another rank or channel count.
    pub fn from_tensor(x: &Tensor) -> Result<Self, ImagingError> {
        let (_, height, width) = x.dims3()?;
        let levels = x.to_dtype(DType::F32)?.permute((1, 2, 0))?.flatten_all()?.to_vec1::<f32>()?;
        let rgb = levels.iter().map(|v| (v * 255.).round().clamp(0., 255.) as u8).collect();
        Self::new(width, height, rgb)
    }
}
