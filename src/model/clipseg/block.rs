//! The transformer block of CLIP's towers (norm first) and of the decoder (norm last).

use candle_core::Tensor;

use super::adapter::{Adapter, BlockAdapters};
use super::parameters::{Parameters, layer_norm};
use crate::model::checkpoint::CheckpointError;
use crate::nn::{Activation, BlockLayers, BlockLayout, Format, FusedBlock, LayerNorm, Linear, attention};

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
    /// CLIP's order, `x + attention(norm(x))`, then `x + mlp(norm(x))`; the decoder's is
    /// `norm(x + attention(x))`, then `norm(x + mlp(x))`.
    pub norm_first: bool,
}

/// Attention and MLP with their norms.
#[derive(Debug, Clone)]
pub(super) struct Block {
    shape: BlockShape,
    projections: Projections,
    out: Linear,
    norm1: LayerNorm,
    norm2: LayerNorm,
    expand: Linear,
    contract: Linear,
    /// The same as one operation, where there is one.
    fused: Option<FusedBlock>,
}

/// Queries, keys and values.
#[derive(Debug, Clone)]
enum Projections {
    Joined(Linear),
    Separate([Linear; 3]),
}

impl Block {
    pub fn load(from: &mut dyn Parameters, name: &str, shape: BlockShape) -> Result<Self, CheckpointError> {
        let BlockShape { width, inner, epsilon, .. } = shape;
        let mut parameters = |part: &str, inner: usize, out: usize| -> Result<_, CheckpointError> {
            let weight = from.take(&format!("{name}.{part}.weight"), &[out, inner])?;
            Ok((weight, from.take(&format!("{name}.{part}.bias"), &[out])?))
        };
        let mut projection = |part: &str| parameters(&format!("self_attn.{part}_proj"), width, width);
        let qkv = [projection("q")?, projection("k")?, projection("v")?];
        let single = |(weight, bias): &(Tensor, Tensor)| Linear::new(weight, Some(bias));
        let out = single(&projection("out")?)?;
        let (expand, contract) =
            (single(&parameters("mlp.fc1", width, inner)?)?, single(&parameters("mlp.fc2", inner, width)?)?);
        let projections = if qkv.iter().any(|(weight, bias)| weight.track_op() || bias.track_op()) {
            let [q, k, v] = &qkv;
            Projections::Separate([single(q)?, single(k)?, single(v)?])
        } else {
            let (weights, biases) = (qkv.each_ref().map(|(weight, _)| weight), qkv.each_ref().map(|(_, b)| Some(b)));
            Projections::Joined(Linear::side_by_side(&weights, &biases)?)
        };
        let norm1 = layer_norm(from, &format!("{name}.layer_norm1"), width, epsilon)?;
        let norm2 = layer_norm(from, &format!("{name}.layer_norm2"), width, epsilon)?;
        let mut block = Self { shape, projections, out, norm1, norm2, expand, contract, fused: None };
        block.fused = block.fuse()?;
        Ok(block)
    }

    fn fuse(&self) -> candle_core::Result<Option<FusedBlock>> {
        let Projections::Joined(qkv) = &self.projections else { return Ok(None) };
        let BlockShape { heads, causal, activation, norm_first, .. } = self.shape;
        let layers = BlockLayers {
            qkv: qkv.clone(),
            out: self.out.clone(),
            expand: self.expand.clone(),
            contract: self.contract.clone(),
            norm1: self.norm1.clone(),
            norm2: self.norm2.clone(),
        };
        FusedBlock::new(&layers, BlockLayout { heads, causal, activation, norm_first })
    }

    /// `[batch, tokens, width]` to the same shape; adapters change what attention and MLP add. A format rounds the
    /// factors of products with weights, in blocks that are one operation.
    pub fn forward(&self, x: &Tensor, adapters: &BlockAdapters, format: Option<Format>) -> candle_core::Result<Tensor> {
        let layers = [&adapters.attention, &adapters.output].map(|adapter| adapter.as_ref().map(Adapter::layers));
        if let Some(fused) = &self.fused
            && layers.iter().all(|adapter| FusedBlock::takes(*adapter))
        {
            return fused.forward(x, layers, format);
        }
        if self.shape.norm_first {
            let branch = self.attend(&self.norm1.forward(x)?)?;
            let x = (x + adapted(&adapters.attention, branch)?)?;
            let branch = self.mlp(&self.norm2.forward(&x)?)?;
            x + adapted(&adapters.output, branch)?
        } else {
            let x = self.norm1.forward(&(x + adapted(&adapters.attention, self.attend(x)?)?)?)?;
            self.norm2.forward(&(&x + adapted(&adapters.output, self.mlp(&x)?)?)?)
        }
    }

    fn attend(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let width = self.shape.width;
        let [q, k, v] = match &self.projections {
            Projections::Separate([q, k, v]) => [q.forward(x)?, k.forward(x)?, v.forward(x)?],
            Projections::Joined(qkv) => {
                let qkv = qkv.forward(x)?;
                [qkv.narrow(2, 0, width)?, qkv.narrow(2, width, width)?, qkv.narrow(2, 2 * width, width)?]
            }
        };
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
