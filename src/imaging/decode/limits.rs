//! What is too large to be read.

use crate::imaging::ImagingError;

/// The largest file and picture that are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Width times height.
    pub pixels: u64,
    /// Width and height in pixels.
    pub side: u32,
}

impl Default for Limits {
    /// 64 MiB, 50 megapixels, 20 000 pixels a side.
    fn default() -> Self {
        Self { bytes: 64 << 20, pixels: 50_000_000, side: 20_000 }
    }
}

impl Limits {
    pub(super) fn check_bytes(&self, found: u64) -> Result<(), ImagingError> {
        if found > self.bytes {
            return Err(ImagingError::TooManyBytes { found, limit: self.bytes });
        }
        Ok(())
    }

    pub(super) fn check_size(&self, (width, height): (u32, u32)) -> Result<(), ImagingError> {
        if width.max(height) > self.side || u64::from(width) * u64::from(height) > self.pixels {
            return Err(ImagingError::TooManyPixels { width, height, side: self.side, pixels: self.pixels });
        }
        Ok(())
    }
}
