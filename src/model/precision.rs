//! The arithmetic of an attack's steps, as a person writes it: `f32`, `bf16`, `f16`, `tf32`.
//!
//! Only the questions that ask for a gradient are answered in it. Logits alone, and with them every score that is
//! reported, are always computed in f32.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::nn::Format;

/// How numbers are rounded in the steps of an attack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// 32-bit floating point throughout.
    #[default]
    F32,
    /// Factors of products with weights have eight bits of precision. On a GPU all activations have.
    Bf16,
    /// CPU only: factors have eleven bits, and short sums too where the processor adds in f16.
    F16,
    /// CUDA only: factors have eleven bits.
    Tf32,
}

/// Why a precision cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrecisionError {
    /// Not the name of a precision.
    #[error("{0:?} is no number format: say f32, bf16, f16 or tf32")]
    Name(String),
    /// The device does not have it.
    #[error("{precision} is not for this device: {rule}")]
    Device { precision: Precision, rule: &'static str },
}

impl Precision {
    /// Whether it can be used on a device.
    ///
    /// # Errors
    /// [`PrecisionError::Device`].
    pub fn check(self, device: &Device) -> Result<(), PrecisionError> {
        let rule = match (self, device.is_cpu()) {
            (Self::Tf32, true) => "tf32 is the GPU's; say f32, bf16 or f16 on the CPU",
            (Self::F16, false) => "f16 is for the CPU; say f32, tf32 or bf16 on a GPU",
            _ => return Ok(()),
        };
        Err(PrecisionError::Device { precision: self, rule })
    }

    /// The format of factors on the CPU.
    pub(super) fn format(self) -> Option<Format> {
        match self {
            Self::F32 | Self::Tf32 => None,
            Self::Bf16 => Some(Format::Bf16),
            Self::F16 => Some(Format::F16),
        }
    }

    /// The name used in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Tf32 => "tf32",
        }
    }
}

impl FromStr for Precision {
    type Err = PrecisionError;

    fn from_str(text: &str) -> Result<Self, PrecisionError> {
        let all = [Self::F32, Self::Bf16, Self::F16, Self::Tf32];
        all.into_iter().find(|p| p.name() == text).ok_or_else(|| PrecisionError::Name(text.into()))
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_devices_are_checked() {
        assert_eq!("bf16".parse::<Precision>().unwrap(), Precision::Bf16);
        assert!("f64".parse::<Precision>().unwrap_err().to_string().contains("say f32"));
        assert!(Precision::F16.check(&Device::Cpu).is_ok());
        assert!(Precision::Tf32.check(&Device::Cpu).unwrap_err().to_string().contains("GPU"));
    }
}
