//! Opening a HuggingFace folder, with or without an adapter file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device};

use super::adapter::{AdapterSource, Adapters};
use super::config::{ClipSegConfig, read};
use super::memory::Footprint;
use super::parameters::{OnDevice, Parameters};
use super::{ClipSeg, LoadError, Network, parse_preprocessor};
use crate::model::checkpoint::{AdapterFile, Weights};
use crate::model::tokenizer::Tokenizer;
use crate::model::{Precision, Preprocess, Vocabulary};

/// The files a model is made of, already in memory.
pub struct Parts {
    /// For reports: the folder's or the embedded model's name.
    pub name: String,
    pub config: ClipSegConfig,
    pub preprocess: Preprocess,
    pub tokenizer: Tokenizer,
    pub weights: Weights,
}

impl Parts {
    /// What a model folder holds, for messages.
    pub const FILES: &str = "config.json, model.safetensors (or pytorch_model.bin), \
                             and vocab.json with merges.txt (or tokenizer.json)";

    /// The weights file of a folder.
    ///
    /// # Errors
    /// [`LoadError::Missing`] if there is none.
    pub fn weights_file(folder: &Path) -> Result<PathBuf, LoadError> {
        let wanted = "model.safetensors, pytorch_model.bin";
        let found = wanted.split(", ").map(|name| folder.join(name)).find(|path| path.exists());
        found.ok_or(LoadError::Missing { path: folder.into(), wanted })
    }

    /// Reads a folder: `config.json`, `preprocessor_config.json` (optional), a tokenizer, and
    /// `model.safetensors` or `pytorch_model.bin`.
    ///
    /// # Errors
    /// A missing or damaged file, named in the message.
    pub fn read(folder: &Path) -> Result<Self, LoadError> {
        let config = ClipSegConfig::open(&folder.join("config.json"))?;
        let file = folder.join("preprocessor_config.json");
        let text = if file.exists() { read(&file)? } else { "{}".into() };
        let weights = Self::weights_file(folder)?;
        let name = folder.canonicalize().ok().and_then(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
        Ok(Self {
            name: name.unwrap_or_else(|| "model".into()),
            preprocess: parse_preprocessor(&text, &file, config.vision_config.patch_size)?,
            tokenizer: Tokenizer::open(folder)?,
            weights: Weights::open(&weights)?,
            config,
        })
    }
}

impl ClipSeg {
    /// Opens a HuggingFace folder, and an adapter file (safetensors or a Lightning checkpoint).
    ///
    /// Base weights inside the adapter file replace those of the folder.
    ///
    /// # Errors
    /// A missing, damaged or unfitting file; the message names file, key or tensor.
    pub fn open(folder: &Path, adapter: Option<&Path>, device: &Device, dtype: DType) -> Result<Self, LoadError> {
        let adapter = adapter.map(AdapterFile::open).transpose()?;
        Self::assemble(Parts::read(folder)?, adapter, device, dtype)
    }

    /// The same model with another arithmetic in the steps of attacks; `again` loads it in another dtype.
    ///
    /// # Errors
    /// A precision that the device does not have, and those of `again`.
    pub fn stepping_in(
        mut self,
        precision: Precision,
        again: impl FnOnce(DType) -> Result<Self, LoadError>,
    ) -> Result<Self, LoadError> {
        precision.check(&self.device)?;
        self.precision = precision;
        if self.device.is_cpu() {
            self.network.vision.format = precision.format();
        } else if precision == Precision::Bf16 {
            self.stepping = Some(again(DType::BF16)?.network);
        }
        #[cfg(feature = "cuda")]
        crate::nn::cuda::allow_tf32(precision == Precision::Tf32);
        Ok(self)
    }

    /// Builds a model from parts in memory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn assemble(
        parts: Parts,
        adapter: Option<AdapterFile>,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, LoadError> {
        let Parts { name, config, preprocess, tokenizer, mut weights } = parts;
        let (mut adapters, base) = match adapter {
            Some(AdapterFile { adapters, base }) => (Some(adapters), base),
            None => (None, None),
        };
        if let Some(base) = base {
            weights = base;
        }
        // first, so that they are not in memory beside the packed ones
        drop_unread(&mut weights, &config);
        let mut network = Network::build(&config, &mut OnDevice { weights: &mut weights, device, dtype })?;
        weights.finish()?;
        if let Some(mut found) = adapters.take() {
            network.adapters = Adapters::load(&mut OnDevice { weights: &mut found, device, dtype }, &config)?;
            found.finish()?;
        }
        let footprint = Footprint::new(&config);
        let (embeddings, context) = (network.text.embeddings().clone(), config.text_config.max_position_embeddings);
        Ok(Self {
            name,
            network,
            vocabulary: Arc::new(Vocabulary::new(tokenizer, embeddings, context)),
            config,
            preprocess,
            device: device.clone(),
            footprint,
            precision: Precision::F32,
            stepping: None,
        })
    }
}

/// Published files hold weights that segmentation never reads: vision layers after the last
/// extracted one, the image side's final norm and projection, CLIP's temperature, position ids.
fn drop_unread(weights: &mut Weights, config: &ClipSegConfig) {
    let read = config.extract_layers.iter().max().map_or(0, |last| last + 1);
    let later: Vec<String> = (read..config.vision_config.num_hidden_layers)
        .map(|i| format!("clip.vision_model.encoder.layers.{i}."))
        .collect();
    weights.drop_matching(|name| {
        name.ends_with(".position_ids")
            || name.starts_with("clip.vision_model.post_layernorm.")
            || matches!(name, "clip.visual_projection.weight" | "clip.logit_scale")
            || later.iter().any(|prefix| name.starts_with(prefix))
    });
}

impl AdapterSource for OnDevice<'_> {
    fn rows(&self, name: &str) -> Option<usize> {
        self.weights.shape(name)?.first().copied()
    }

    fn parameters(&mut self) -> &mut dyn Parameters {
        self
    }
}
