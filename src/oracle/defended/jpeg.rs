//! Compression: small changes are rounded away with the coefficients.

use candle_core::{Error, Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DefenceError, Transformation};
use crate::drawing::Draws;
use crate::imaging::{Image, ImagingError, Limits, decode, encode};

/// Written as a JPEG with halved colour resolution and read again. Dziugaite et al. 2016, arXiv 1608.00853.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = JpegDefence)]
pub struct Jpeg {
    /// Quality.
    #[schema(minimum = 1, maximum = 100)]
    pub quality: u8,
}

impl Default for Jpeg {
    fn default() -> Self {
        Self { quality: 75 }
    }
}

impl Transformation for Jpeg {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        DefenceError::unless((1..=100).contains(&self.quality), "quality", self.quality, "use 1 to 100")
    }

    fn apply(&self, x: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        compressed(x, self.quality).map_err(Error::wrap)
    }

    fn is_exact(&self) -> bool {
        false
    }
}

fn compressed(x: &Tensor, quality: u8) -> std::result::Result<Tensor, ImagingError> {
    // The limits are for files that come from outside.
    let limits = Limits { bytes: u64::MAX, pixels: u64::MAX, side: u32::MAX };
    let bytes = encode::jpeg(&Image::from_tensor(x)?, quality)?;
    decode::decode(&bytes, &limits)?.image.to_tensor(x.device())
}
