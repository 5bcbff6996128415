//! The two reference files of a folder.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use serde::Deserialize;

/// What `reference.json` says.
#[derive(Debug, Deserialize)]
pub struct Description {
    /// Name of the checkpoint.
    pub name: String,
    /// Number of weights.
    pub parameters: usize,
    /// Version of PyTorch.
    pub torch: String,
    /// Version of transformers.
    pub transformers: String,
    /// Budget of the attack in grey levels.
    pub epsilon: i32,
    /// Step of the attack in grey levels.
    pub alpha: i32,
    /// The prompt of every quantity that names no other.
    pub prompt: String,
    /// The prompt of `other_prompt.*`.
    pub other_prompt: String,
    /// Files to open, and whose quantities to expect.
    pub adapters: Vec<Adapter>,
    /// Relative error of PyTorch's float32 per quantity.
    pub float32_errors: BTreeMap<String, f64>,
    /// Prompts and their token ids.
    pub tokens: Vec<Tokens>,
}

/// One adapter file.
#[derive(Debug, Deserialize)]
pub struct Adapter {
    /// The quantities are called `adapter.REFERENCE.*`.
    pub reference: String,
    /// Path inside the folder.
    pub file: PathBuf,
}

impl Adapter {
    /// The file's name without its folder.
    pub fn file_name(&self) -> Cow<'_, str> {
        self.file.file_name().unwrap_or_default().to_string_lossy()
    }
}

/// A prompt as transformers tokenises it.
#[derive(Debug, Deserialize)]
pub struct Tokens {
    pub prompt: String,
    pub ids: Vec<u32>,
}

/// A reference folder.
pub struct Reference {
    /// The checkpoint's folder.
    pub folder: PathBuf,
    /// Prompts, adapters, budget.
    pub description: Description,
    tensors: HashMap<String, Tensor>,
}

impl Reference {
    pub fn open(folder: &Path) -> Result<Self> {
        let file = folder.join("reference.json");
        let json = File::open(&file).with_context(|| format!("open {}", file.display()))?;
        let tensors = candle_core::safetensors::load(folder.join("reference.safetensors"), &Device::Cpu)?;
        Ok(Self { folder: folder.into(), description: serde_json::from_reader(json)?, tensors })
    }

    /// A tensor as it is stored.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        self.tensors.get(name).with_context(|| format!("{} has no tensor {name}", self.folder.display()))
    }

    /// Whether the folder has such a tensor.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Grey levels as the nearest f32 in [0, 1], in f64.
    pub fn unit(&self, name: &str) -> Result<Tensor> {
        unit(self.tensor(name)?)
    }

    /// Error of PyTorch's float32.
    pub fn pytorch(&self, name: &str) -> Option<f64> {
        self.description.float32_errors.get(name).copied()
    }

    /// Names that start with `prefix` and a number, in order.
    pub fn series(&self, prefix: &str) -> Vec<String> {
        (0..).map(|i| format!("{prefix}.{i}")).take_while(|name| self.has(name)).collect()
    }
}

/// Grey levels as the nearest f32 in [0, 1], in f64.
pub fn unit(levels: &Tensor) -> Result<Tensor> {
    // `affine` multiplies by a rounded 1/255; the reference divides.
    let scale = Tensor::new(255f32, levels.device())?;
    Ok(levels.to_dtype(DType::F32)?.broadcast_div(&scale)?.to_dtype(DType::F64)?)
}
