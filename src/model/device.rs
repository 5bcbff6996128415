//! Where a model works, as a person writes it: `cpu`, `cuda`, `cuda:1`.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

/// A device that has been named but not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU by its index.
    Cuda(usize),
}

/// Why there is no such device.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Not the name of a device.
    #[error("{0:?} is no device: say cpu, cuda or cuda:INDEX")]
    Name(String),
    /// The program was built without CUDA.
    #[error("{0}: this build works on the CPU only: use the CUDA build (`cargo build --release --features cuda`)")]
    NotBuilt(DeviceChoice),
    /// The driver refused.
    #[error("cannot open {choice}: {source}")]
    Open { choice: DeviceChoice, source: candle_core::Error },
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// [`DeviceError::NotBuilt`] for a GPU in a build without CUDA, [`DeviceError::Open`] if the driver has no such GPU.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            #[cfg(not(feature = "cuda"))]
            Self::Cuda(_) => Err(DeviceError::NotBuilt(self)),
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => {
                crate::nn::cuda::open(index).map_err(|source| DeviceError::Open { choice: self, source })
            }
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let index = match text {
            "cpu" => return Ok(Self::Cpu),
            "cuda" => Some(0),
            _ => text.strip_prefix("cuda:").and_then(|index| index.parse().ok()),
        };
        index.map(Self::Cuda).ok_or_else(|| DeviceError::Name(text.into()))
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() -> Result<(), DeviceError> {
        for (text, choice, written) in [
            ("cpu", DeviceChoice::Cpu, "cpu"),
            ("cuda", DeviceChoice::Cuda(0), "cuda:0"),
            ("cuda:3", DeviceChoice::Cuda(3), "cuda:3"),
        ] {
            assert_eq!(text.parse::<DeviceChoice>()?, choice);
            assert_eq!(choice.to_string(), written);
        }
        for wrong in ["", "gpu", "cuda:", "cuda:-1", "cuda1", "CPU"] {
            let message = wrong.parse::<DeviceChoice>().expect_err(wrong).to_string();
            assert!(message.contains("cuda:INDEX"), "{message}");
        }
        Ok(())
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_names_the_one_to_use() {
        assert!(DeviceChoice::Cpu.open().is_ok());
        let message = DeviceChoice::Cuda(1).open().expect_err("no CUDA").to_string();
        assert!(message.contains("cuda:1") && message.contains("--features cuda"), "{message}");
    }
}
