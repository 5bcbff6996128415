//! VLSM adapters (Dhakal et al. 2024, arXiv 2405.06196), as arXiv 2505.02971 attacks them.
//!
//! An adapter is `x + relu(fc2(relu(fc1(x))))`. *Dense* adapters sit on both branches of the
//! encoder layers before the last extracted one; *shallow* ones on the extracted states and, from
//! the text side, on the conditional embedding. Which towers carry them (v, vl, vlc) is read from
//! the tensor names.

use candle_core::Tensor;

use super::config::ClipSegConfig;
use super::parameters::{Parameters, linear};
use crate::model::checkpoint::CheckpointError;
use crate::nn::{AdapterLayers, Linear};

/// `x + relu(fc2(relu(fc1(x))))`.
#[derive(Debug, Clone)]
pub(super) struct Adapter {
    down: Linear,
    up: Linear,
}

impl Adapter {
    /// `name.fc1` and `name.fc2` if they are there; the inner width is the file's own.
    fn load(from: &mut dyn AdapterSource, name: &str, width: usize) -> Result<Option<Self>, CheckpointError> {
        let Some(inner) = from.rows(&format!("{name}.fc1.weight")) else { return Ok(None) };
        let down = linear(from.parameters(), &format!("{name}.fc1"), width, inner)?;
        let up = linear(from.parameters(), &format!("{name}.fc2"), inner, width)?;
        Ok(Some(Self { down, up }))
    }

    /// The two layers, for operations that contain an adapter.
    pub fn layers(&self) -> AdapterLayers<'_> {
        (&self.down, &self.up)
    }

    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x + self.up.forward(&self.down.forward(x)?.relu()?)?.relu()?
    }
}

/// Adapters of one block, applied to what a branch adds.
#[derive(Debug, Clone, Default)]
pub(super) struct BlockAdapters {
    pub attention: Option<Adapter>,
    pub output: Option<Adapter>,
}

/// Parameters whose inner widths are not in the configuration.
pub(super) trait AdapterSource {
    /// First dimension of the tensor `name`, if it is there.
    fn rows(&self, name: &str) -> Option<usize>;
    /// The tensors.
    fn parameters(&mut self) -> &mut dyn Parameters;
}

/// Where adapters sit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdapterKind {
    /// On both branches of the encoder layers before the last extracted one.
    Dense,
    /// On the extracted states.
    Shallow,
}

/// Which new adapters a training run adds to a frozen model.
#[derive(Debug, Clone)]
pub struct AdapterScope {
    pub kind: AdapterKind,
    pub vision: bool,
    pub text: bool,
    pub conditional: bool,
    /// Inner width of the adapters of the towers.
    pub width: usize,
    /// Inner width of the adapter of the conditional embedding.
    pub conditional_width: usize,
}

impl AdapterScope {
    /// Inner width of the adapter `name`, if this scope has it. `layers` is the last extracted
    /// vision layer: dense adapters sit before it, in both towers.
    fn width_of(&self, name: &str, layers: usize) -> Option<usize> {
        let (adapter, rest) = name.split_once('.')?;
        let layer = || rest.split('.').next()?.parse::<usize>().ok();
        let wanted = match (self.kind, adapter) {
            (_, "cond_adapter") => return self.conditional.then_some(self.conditional_width),
            (AdapterKind::Dense, "v_attn_adapters" | "v_out_adapters") => self.vision && layer()? < layers,
            (AdapterKind::Dense, "l_attn_adapters" | "l_out_adapters") => self.text && layer()? < layers,
            (AdapterKind::Shallow, "vision_extract_adapters") => self.vision,
            (AdapterKind::Shallow, "text_extract_adapters") => self.text,
            _ => false,
        };
        wanted.then_some(self.width)
    }
}

/// Adapters of a scope over any parameters.
struct Scoped<'a> {
    scope: &'a AdapterScope,
    layers: usize,
    from: &'a mut dyn Parameters,
}

impl AdapterSource for Scoped<'_> {
    fn rows(&self, name: &str) -> Option<usize> {
        self.scope.width_of(name, self.layers)
    }

    fn parameters(&mut self) -> &mut dyn Parameters {
        self.from
    }
}

/// All adapters of a model; a model without any has the default.
#[derive(Debug, Clone, Default)]
pub(super) struct Adapters {
    vision: Vec<BlockAdapters>,
    text: Vec<BlockAdapters>,
    extracted: Vec<Option<Adapter>>,
    text_extracted: Vec<Option<Adapter>>,
    conditional: Option<Adapter>,
}

impl Adapters {
    /// The adapters of a scope, from any parameters.
    pub fn scoped(
        scope: &AdapterScope,
        from: &mut dyn Parameters,
        config: &ClipSegConfig,
    ) -> Result<Self, CheckpointError> {
        let layers = config.extract_layers.iter().max().copied().unwrap_or(0);
        Self::load(&mut Scoped { scope, layers, from }, config)
    }

    /// All adapters that `from` has.
    pub fn load(from: &mut dyn AdapterSource, config: &ClipSegConfig) -> Result<Self, CheckpointError> {
        let (vision, text) = (config.vision_config.hidden_size, config.text_config.hidden_size);
        let mut tower = |side: char, width, layers| {
            (0..layers)
                .map(|i| {
                    Ok(BlockAdapters {
                        attention: Adapter::load(from, &format!("{side}_attn_adapters.{i}"), width)?,
                        output: Adapter::load(from, &format!("{side}_out_adapters.{i}"), width)?,
                    })
                })
                .collect::<Result<Vec<_>, CheckpointError>>()
        };
        let vision_layers = tower('v', vision, config.vision_config.num_hidden_layers)?;
        let text_layers = tower('l', text, config.text_config.num_hidden_layers)?;
        let shallow = (0..config.extract_layers.len())
            .any(|i| from.rows(&format!("text_extract_adapters.{i}.fc1.weight")).is_some());
        if shallow && text != config.projection_dim {
            let sizes =
                format!("the text tower is {text} wide and the conditional embedding {}", config.projection_dim);
            return Err(candle_core::Error::msg(format!("shallow text adapters need equal widths: {sizes}")).into());
        }
        let mut extracted = |side: &str, width| {
            (0..config.extract_layers.len())
                .map(|i| Adapter::load(from, &format!("{side}_extract_adapters.{i}"), width))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            vision: vision_layers,
            text: text_layers,
            extracted: extracted("vision", vision)?,
            text_extracted: extracted("text", text)?,
            conditional: Adapter::load(from, "cond_adapter", config.projection_dim)?,
        })
    }

    pub fn vision_layer(&self, i: usize) -> BlockAdapters {
        self.vision.get(i).cloned().unwrap_or_default()
    }

    pub fn text_layer(&self, i: usize) -> BlockAdapters {
        self.text.get(i).cloned().unwrap_or_default()
    }

    /// The extracted vision states as the decoder sees them.
    pub fn extracted(&self, states: &[Tensor]) -> candle_core::Result<Vec<Tensor>> {
        let adapted = |(i, state): (usize, &Tensor)| match self.extracted.get(i) {
            Some(Some(adapter)) => adapter.forward(state),
            _ => Ok(state.clone()),
        };
        states.iter().enumerate().map(adapted).collect()
    }

    /// The conditional embedding from the projected text and the raw text states at the pooled
    /// token after each extracted layer.
    pub fn conditional(&self, projected: &Tensor, text_states: &[Tensor]) -> candle_core::Result<Tensor> {
        let mut embedding = match &self.conditional {
            Some(adapter) => adapter.forward(projected)?,
            None => projected.clone(),
        };
        for (state, adapter) in text_states.iter().zip(&self.text_extracted) {
            if let Some(adapter) = adapter {
                embedding = (embedding + adapter.forward(state)?)?;
            }
        }
        Ok(embedding)
    }

    /// Whether any shallow text adapter reads the text states.
    pub fn reads_text_states(&self) -> bool {
        self.text_extracted.iter().any(Option::is_some)
    }
}
