//! The text tower: token ids to the conditional embedding.

use candle_core::{DType, Tensor};

use super::adapter::Adapters;
use super::block::{Block, BlockShape};
use super::config::{ClipSegConfig, activation};
use super::parameters::{Parameters, layer_norm};
use crate::model::checkpoint::CheckpointError;
use crate::nn::{Activation, LayerNorm, Linear};

/// The `eos_token_id` of early published files, which is wrong: transformers then pools at the
/// highest id.
const LEGACY_EOS: u32 = 2;

/// CLIP's causal text transformer, its projection, and the pooling of transformers.
#[derive(Debug, Clone)]
pub(super) struct TextTower {
    tokens: Tensor,
    positions: Tensor,
    blocks: Vec<Block>,
    norm: LayerNorm,
    projection: Linear,
    eos_token_id: u32,
    /// Layers whose raw states the shallow adapters read.
    extract: Vec<usize>,
}

impl TextTower {
    pub fn load(from: &mut dyn Parameters, config: &ClipSegConfig) -> Result<Self, CheckpointError> {
        let text = &config.text_config;
        let (name, width) = ("clip.text_model", text.hidden_size);
        let shape = BlockShape {
            width,
            inner: text.intermediate_size,
            heads: text.num_attention_heads,
            epsilon: text.layer_norm_eps,
            activation: activation(&text.hidden_act).unwrap_or(Activation::QuickGelu),
            causal: true,
            norm_first: true,
        };
        let embedding = format!("{name}.embeddings");
        Ok(Self {
            tokens: from.take(&format!("{embedding}.token_embedding.weight"), &[text.vocab_size, width])?,
            positions: from
                .take(&format!("{embedding}.position_embedding.weight"), &[text.max_position_embeddings, width])?,
            blocks: (0..text.num_hidden_layers)
                .map(|i| Block::load(from, &format!("{name}.encoder.layers.{i}"), shape))
                .collect::<Result<_, _>>()?,
            norm: layer_norm(from, &format!("{name}.final_layer_norm"), width, text.layer_norm_eps)?,
            projection: Linear::new(&from.take("clip.text_projection.weight", &[config.projection_dim, width])?, None)?,
            eos_token_id: text.eos_token_id,
            extract: config.extract_layers.clone(),
        })
    }

    /// The embeddings of tokens, `[tokens, width]`, without those of their positions.
    pub fn embed(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        self.tokens.index_select(&Tensor::new(ids, self.tokens.device())?, 0)
    }

    /// The embedding of every token of the vocabulary.
    pub fn embeddings(&self) -> &Tensor {
        &self.tokens
    }

    /// The conditional embedding `[projection_dim]` of unpadded token ids, whose embeddings are `embedded`.
    ///
    /// The tower is causal and pools at the end token, so padding could not change the result.
    pub fn forward(&self, embedded: &Tensor, ids: &[u32], adapters: &Adapters) -> candle_core::Result<Tensor> {
        let at = self.pooled_token(ids);
        let x = (embedded + self.positions.narrow(0, 0, ids.len())?)?;
        let mut x = x.unsqueeze(0)?;
        let mut states = Vec::new();
        for (i, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x, &adapters.text_layer(i), None)?;
            states.push(x.clone());
        }
        let pooled = self.norm.forward(&x)?.narrow(1, at, 1)?.squeeze(1)?.contiguous()?;
        let projected = self.projection.forward(&pooled)?;
        if !adapters.reads_text_states() {
            return adapters.conditional(&projected, &[])?.squeeze(0);
        }
        let raw = |i: &usize| match states.get(*i) {
            Some(state) => state.narrow(1, at, 1)?.squeeze(1)?.contiguous(),
            None => candle_core::bail!("a shallow text adapter reads layer {i} of {} text layers", states.len()),
        };
        let states = self.extract.iter().map(raw).collect::<candle_core::Result<Vec<_>>>()?;
        adapters.conditional(&projected, &states)?.squeeze(0)
    }

    /// Where transformers pools: at the highest id for old files, else at the first end token.
    fn pooled_token(&self, ids: &[u32]) -> usize {
        let at = if self.eos_token_id == LEGACY_EOS {
            let highest = ids.iter().max();
            ids.iter().position(|id| Some(id) == highest)
        } else {
            ids.iter().position(|id| *id == self.eos_token_id)
        };
        at.unwrap_or(0)
    }

    pub fn dtype(&self) -> DType {
        self.tokens.dtype()
    }
}
