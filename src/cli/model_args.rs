//! The flags that choose a model, shared by all commands that need one.

use std::path::PathBuf;

use anyhow::{Context, Result};
use candle_core::DType;
use clap::Args;

use crate::model::clipseg::ClipSeg;
use crate::model::{DeviceChoice, Source};

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
}

impl ModelArgs {
    /// Finds and loads the model in f32.
    ///
    /// # Errors
    /// A model folder, adapter file or device that cannot be used.
    pub fn open(&self) -> Result<(ClipSeg, Source)> {
        let source = Source::resolve(self.model.as_deref()).context("--model")?;
        let device = self.device.open().context("--device")?;
        let model = source.open(self.adapter.as_deref(), &device, DType::F32)?;
        Ok((model, source))
    }
}
