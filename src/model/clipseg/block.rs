//! The transformer block of CLIP's towers (norm first) and of the decoder (norm last).

use candle_core::Tensor;

use super::adapter::{Adapter, BlockAdapters};
use super::parameters::{Parameters, layer_norm, linear};
use crate::model::checkpoint::CheckpointError;
use crate::nn::{Activation, LayerNorm, Linear, attention};

/// Sizes of a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockShape {
    pub width: usize,
    pub inner: usize,
    pub heads: usize,
    pub epsilon: f64,
    pub activation: Activation,
    /// Hide later tokens, as the text tower does.
    pub causal: bool,
}

/// Attention and MLP with their norms; the caller chooses where the norms go.
#[derive(Debug, Clone)]
pub(super) struct Block {
    shape: BlockShape,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
    expand: Linear,
    contract: Linear,
}

impl Block {
    pub fn load(from: &mut dyn Parameters, name: &str, shape: BlockShape) -> Result<Self, CheckpointError> {
        let BlockShape { width, inner, epsilon, .. } = shape;
        let mut square = |part: &str| linear(from, &format!("{name}.self_attn.{part}_proj"), width, width);
        let (query, key, value, out) = (square("q")?, square("k")?, square("v")?, square("out")?);
        Ok(Self {
            shape,
            query,
            key,
            value,
            out,
            norm1: layer_norm(from, &format!("{name}.layer_norm1"), width, epsilon)?,
            norm2: layer_norm(from, &format!("{name}.layer_norm2"), width, epsilon)?,
            expand: linear(from, &format!("{name}.mlp.fc1"), width, inner)?,
            contract: linear(from, &format!("{name}.mlp.fc2"), inner, width)?,
        })
    }

    /// CLIP's order: `x + attention(norm(x))`, then `x + mlp(norm(x))`; `[batch, tokens, width]`.
    pub fn pre_norm(&self, x: &Tensor, adapters: &BlockAdapters) -> candle_core::Result<Tensor> {
        let branch = self.attend(&self.norm1.forward(x)?)?;
        let x = (x + adapted(&adapters.attention, branch)?)?;
        let branch = self.mlp(&self.norm2.forward(&x)?)?;
        x + adapted(&adapters.output, branch)?
    }

    /// The decoder's order: `norm(x + attention(x))`, then `norm(x + mlp(x))`.
    pub fn post_norm(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let x = self.norm1.forward(&(x + self.attend(x)?)?)?;
        self.norm2.forward(&(&x + self.mlp(&x)?)?)
    }

    fn attend(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let (q, k, v) = (self.query.forward(x)?, self.key.forward(x)?, self.value.forward(x)?);
        self.out.forward(&attention(&q, &k, &v, self.shape.heads, self.shape.causal)?)
    }

    fn mlp(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.contract.forward(&self.shape.activation.forward(&self.expand.forward(x)?)?)
    }
}

fn adapted(adapter: &Option<Adapter>, x: Tensor) -> candle_core::Result<Tensor> {
    match adapter {
        Some(adapter) => adapter.forward(&x),
        None => Ok(x),
    }
}
