//! CLIPSeg as published (Lüddecke & Ecker, CVPR 2022, arXiv 2112.10003), with VLSM adapters.
//!
//! A vision transformer, a text transformer, and a small decoder that reads a few vision layers
//! and is steered by the prompt. Everything is a function of named weights, so the same code
//! loads a checkpoint (frozen) and trains one (variables).

mod adapter;
mod block;
mod config;
mod decoder;
mod memory;
mod open;
mod parameters;
mod preprocessor;
mod recompute;
mod text;
mod vision;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};

use adapter::Adapters;
pub use adapter::{AdapterKind, AdapterScope};
pub use config::{ClipSegConfig, TextConfig, VisionConfig};
use decoder::Decoder;
use memory::{Footprint, Mode};
pub use open::Parts;
pub use parameters::Parameters;
pub use preprocessor::parse_preprocessor;
use text::TextTower;
use vision::VisionTower;
pub use work::{UnevenSide, Work};

use super::checkpoint::CheckpointError;
use super::tokenizer::TokenizerError;
use super::{Conditioning, ModelError, Precision, Preprocess, Question, SegmentationModel, TextInput, Vocabulary};

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file is not the JSON it should be.
    #[error("{}: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    /// A value that no CLIPSeg can have.
    #[error("{}: {key}: {reason}", path.display())]
    Config { path: PathBuf, key: &'static str, reason: String },
    /// The folder lacks a file.
    #[error("{}: found none of {wanted}: a model folder needs one", path.display())]
    Missing { path: PathBuf, wanted: &'static str },
    /// A weights file is damaged or does not fit the configuration.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The tokenizer files are damaged or missing.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The device does not compute in what was asked for.
    #[error(transparent)]
    Precision(#[from] super::PrecisionError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The network: a function of its weights, without tokenizer and preprocessing.
#[derive(Debug, Clone)]
pub struct Network {
    vision: VisionTower,
    text: TextTower,
    decoder: Decoder,
    adapters: Adapters,
    extract_layers: Vec<usize>,
}

/// Everything a forward pass makes on its way, for comparison with a reference.
#[derive(Debug, Clone)]
pub struct Trace {
    /// `[1, tokens, width]` at the size of the input.
    pub position_embedding: Tensor,
    /// `[batch, tokens, width]` after the first norm, then after each vision layer that is run.
    pub hidden: Vec<Tensor>,
    /// `[batch, tokens, reduce_dim]` after each decoder layer.
    pub decoder: Vec<Tensor>,
    /// `[batch, height, width]`
    pub logits: Tensor,
}

impl Network {
    /// Builds the network from named weights, without adapters.
    ///
    /// # Errors
    /// A missing or mis-shaped tensor.
    pub fn build(config: &ClipSegConfig, from: &mut dyn Parameters) -> Result<Self, CheckpointError> {
        Ok(Self {
            vision: VisionTower::load(from, config)?,
            text: TextTower::load(from, config)?,
            decoder: Decoder::load(from, config)?,
            adapters: Adapters::default(),
            extract_layers: config.extract_layers.clone(),
        })
    }

    /// The same network with the adapters of a scope.
    ///
    /// # Errors
    /// A missing or mis-shaped tensor.
    pub fn with_adapters(
        mut self,
        config: &ClipSegConfig,
        scope: &AdapterScope,
        from: &mut dyn Parameters,
    ) -> Result<Self, CheckpointError> {
        self.adapters = Adapters::scoped(scope, from, config)?;
        Ok(self)
    }

    /// The conditional embedding `[projection_dim]` of unpadded token ids.
    ///
    /// # Errors
    /// Ids outside the vocabulary or beyond the longest position.
    pub fn encode(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        self.text.forward(&self.text.embed(ids)?, ids, &self.adapters)
    }

    /// All states from `pixel_values` `[batch, 3, size, size]` and `[batch, projection_dim]`.
    ///
    /// # Errors
    /// An input that patches do not divide, or that is not square.
    pub fn forward(&self, pixel_values: &Tensor, conditional: &Tensor) -> candle_core::Result<Trace> {
        let (_, _, height, width) = pixel_values.dims4()?;
        if height != width {
            candle_core::bail!("CLIPSeg's decoder takes square inputs, not {height}x{width}");
        }
        let position_embedding = self.vision.position_embedding(height, width)?;
        let hidden = self.vision.forward(pixel_values, &position_embedding, &self.adapters)?;
        let extracted: Vec<Tensor> = self.extract_layers.iter().map(|i| hidden[i + 1].clone()).collect();
        let decoded = self.decoder.forward(&self.adapters.extracted(&extracted)?, conditional)?;
        Ok(Trace { position_embedding, hidden, decoder: decoded.states, logits: decoded.logits })
    }
}

/// A loaded CLIPSeg.
pub struct ClipSeg {
    name: String,
    network: Network,
    vocabulary: Arc<Vocabulary>,
    config: ClipSegConfig,
    preprocess: Preprocess,
    device: Device,
    footprint: Footprint,
    precision: Precision,
    /// The network of an attack's steps, where it is not the one that scores.
    stepping: Option<Network>,
}

impl ClipSeg {
    /// Whether vision blocks keep only their input and run again for their gradient: slower by a third, the same
    /// numbers, and a fraction of the memory. Off at first.
    pub fn recompute_blocks(&mut self, yes: bool) {
        self.network.vision.recompute = yes;
        if let Some(stepping) = &mut self.stepping {
            stepping.vision.recompute = yes;
        }
    }

    fn stepping(&self) -> &Network {
        self.stepping.as_ref().unwrap_or(&self.network)
    }

    /// Token ids of a prompt, with start and end, unpadded.
    ///
    /// # Errors
    /// A prompt that cannot be tokenised.
    pub fn tokens(&self, prompt: &str) -> Result<Vec<u32>, ModelError> {
        self.vocabulary.ids(prompt)
    }

    /// The forward pass with all its states.
    ///
    /// # Errors
    /// Shapes that do not fit the model.
    pub fn trace(&self, pixel_values: &Tensor, prompts: &[Conditioning]) -> Result<Trace, ModelError> {
        let rows: Vec<&Tensor> = prompts.iter().map(|p| &p.0).collect();
        let pixel_values = pixel_values.to_dtype(self.dtype())?;
        Ok(self.network.forward(&pixel_values, &Tensor::stack(&rows, 0)?)?)
    }

    /// The arithmetic that one image of `side` pixels costs.
    ///
    /// # Errors
    /// A side that the patches do not divide.
    pub fn work(&self, side: usize) -> Result<Work, UnevenSide> {
        Work::of(&self.config, side)
    }

    /// The floating-point type of the weights.
    pub fn dtype(&self) -> DType {
        self.network.text.dtype()
    }
}

impl SegmentationModel for ClipSeg {
    fn name(&self) -> &str {
        &self.name
    }

    fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn precision(&self) -> Precision {
        self.precision
    }

    fn bytes_per_row(&self, question: Question) -> Option<u64> {
        let mode = Mode { device: &self.device, dtype: self.dtype(), recompute: self.network.vision.recompute };
        Some(self.footprint.bytes(self.preprocess.height, question, mode))
    }

    fn prepare_prompt(&self, prompt: &str) -> Result<Conditioning, ModelError> {
        Ok(Conditioning(self.network.encode(&self.tokens(prompt)?)?.detach()))
    }

    fn vocabulary(&self) -> Option<Arc<Vocabulary>> {
        Some(self.vocabulary.clone())
    }

    fn logits(&self, pixel_values: &Tensor, prompts: &[Conditioning]) -> Result<Tensor, ModelError> {
        Ok(self.trace(pixel_values, prompts)?.logits)
    }

    fn logits_and_vjp(
        &self,
        pixel_values: &Tensor,
        prompts: &[Conditioning],
        cotangent: &mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let network = self.stepping();
        let dtype = network.text.dtype();
        let x = Var::from_tensor(&pixel_values.to_dtype(dtype)?.detach())?;
        let rows: Vec<&Tensor> = prompts.iter().map(|p| &p.0).collect();
        let conditional = Tensor::stack(&rows, 0)?.to_dtype(dtype)?;
        let logits = network.forward(x.as_tensor(), &conditional)?.logits.to_dtype(self.dtype())?;
        let seed = cotangent(&logits.detach())?.detach();
        let mut gradients = (&logits * seed)?.sum_all()?.backward()?;
        let gradient = gradients.remove(x.as_tensor()).ok_or(ModelError::Gradient("missing"))?;
        Ok((logits.detach(), gradient.detach().to_dtype(self.dtype())?))
    }

    fn logits_and_text_vjp(
        &self,
        pixel_values: &Tensor,
        text: &TextInput,
        cotangent: &mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<(Tensor, Tensor), ModelError> {
        let (network, dtype) = (&self.network, self.dtype());
        let (at, conditional) = match text {
            TextInput::Tokens(ids) => {
                let at = Var::from_tensor(&network.text.embed(ids)?.detach())?;
                let conditional = network.text.forward(at.as_tensor(), ids, &network.adapters)?;
                (at, conditional)
            }
            TextInput::Conditioning(conditioning) => {
                let at = Var::from_tensor(&conditioning.0.to_dtype(dtype)?.detach())?;
                let conditional = at.as_tensor().clone();
                (at, conditional)
            }
        };
        // The image is no variable: nothing of the vision tower is kept for a backward pass.
        let pixel_values = pixel_values.to_dtype(dtype)?.detach();
        let logits = network.forward(&pixel_values, &conditional.unsqueeze(0)?)?.logits;
        let seed = cotangent(&logits.detach())?.detach();
        let mut gradients = (&logits * seed)?.sum_all()?.backward()?;
        let gradient = gradients.remove(at.as_tensor()).ok_or(ModelError::Gradient("missing"))?.detach();
        if gradient.to_dtype(DType::F64)?.abs()?.sum_all()?.to_scalar::<f64>()?.is_finite() {
            Ok((logits.detach(), gradient))
        } else {
            Err(ModelError::Gradient("not finite"))
        }
    }
}
