//! The flags that choose a model, shared by all commands that need one.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::model::clipseg::ClipSeg;
use crate::model::{DeviceChoice, Precision, Source};

/// Which model, and where it works.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// Model folder in the layout of the Hugging Face hub; without it, the demo model.
    #[arg(long, value_name = "DIR")]
    pub model: Option<String>,
    /// Adapters to put on the model: safetensors, or a Lightning checkpoint.
    #[arg(long, value_name = "FILE")]
    pub adapter: Option<PathBuf>,
    /// cpu, cuda or cuda:INDEX.
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
    /// Arithmetic of the steps of attacks; scores are computed in f32 always: f32, bf16, f16 (CPU) or tf32 (CUDA).
    #[arg(long, value_name = "FORMAT", default_value_t)]
    pub dtype: Precision,
}

impl ModelArgs {
    /// Finds and loads the model.
    ///
    /// # Errors
    /// A model folder, adapter file, device or number format that cannot be used.
    pub fn open(&self) -> Result<(ClipSeg, Source)> {
        let source = Source::resolve(self.model.as_deref())?;
        let device = self.device.open()?;
        let model = source.open_for_steps(self.adapter.as_deref(), &device, self.dtype)?;
        Ok((model, source))
    }
}
