//! The decoder: extracted vision states and the conditional embedding to logits.

use candle_core::Tensor;

use super::adapter::BlockAdapters;
use super::block::{Block, BlockShape};
use super::config::ClipSegConfig;
use super::parameters::{Parameters, linear};
use crate::model::checkpoint::CheckpointError;
use crate::nn::{Activation, Linear, conv3x3, transposed_convolution};

/// Transformer blocks over reduced vision features, modulated by the prompt (FiLM).
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    conditional_layer: usize,
    film_mul: Linear,
    film_add: Linear,
    reduces: Vec<Linear>,
    blocks: Vec<Block>,
    head: Head,
}

/// From decoder features to logits.
#[derive(Debug, Clone)]
enum Head {
    /// One transposed convolution over whole patches.
    Simple { kernel: Linear, patch: usize },
    /// The refined head: a 3x3 convolution, then two transposed ones.
    Refined { mix: Linear, first: Linear, second: Linear, stride: usize },
}

/// What the decoder makes on its way, for comparison with a reference.
pub(super) struct Decoded {
    /// After each decoder layer, `[batch, tokens, reduce_dim]`.
    pub states: Vec<Tensor>,
    /// `[batch, height, width]`
    pub logits: Tensor,
}

impl Decoder {
    pub fn load(from: &mut dyn Parameters, config: &ClipSegConfig) -> Result<Self, CheckpointError> {
        let (vision, width) = (config.vision_config.hidden_size, config.reduce_dim);
        let shape = BlockShape {
            width,
            inner: config.decoder_intermediate_size,
            heads: config.decoder_num_attention_heads,
            epsilon: config.vision_config.layer_norm_eps,
            // transformers overrides the configured value
            activation: Activation::Relu,
            causal: false,
            norm_first: false,
        };
        let layers = 0..config.extract_layers.len();
        Ok(Self {
            conditional_layer: config.conditional_layer,
            film_mul: linear(from, "decoder.film_mul", config.projection_dim, width)?,
            film_add: linear(from, "decoder.film_add", config.projection_dim, width)?,
            reduces: layers
                .clone()
                .map(|i| linear(from, &format!("decoder.reduces.{i}"), vision, width))
                .collect::<Result<_, _>>()?,
            blocks: layers
                .map(|i| Block::load(from, &format!("decoder.layers.{i}"), shape))
                .collect::<Result<_, _>>()?,
            head: Head::load(from, config)?,
        })
    }

    /// `states` in the order of `extract_layers`; `conditional` `[batch, projection_dim]`.
    pub fn forward(&self, states: &[Tensor], conditional: &Tensor) -> candle_core::Result<Decoded> {
        let mut x: Option<Tensor> = None;
        let mut decoded = Vec::new();
        for (i, state) in states.iter().rev().enumerate() {
            let reduced = self.reduces[i].forward(state)?;
            let mut y = match x {
                Some(x) => (reduced + x)?,
                None => reduced,
            };
            if i == self.conditional_layer {
                // One row an image: the rows of a product are rounded differently in different company.
                let conditional = conditional.unsqueeze(1)?;
                let scale = self.film_mul.forward(&conditional)?;
                let shift = self.film_add.forward(&conditional)?;
                y = y.broadcast_mul(&scale)?.broadcast_add(&shift)?;
            }
            let y = self.blocks[i].forward(&y, &BlockAdapters::default(), None)?;
            decoded.push(y.clone());
            x = Some(y);
        }
        let last = decoded.last().expect("a configuration has at least one extracted layer");
        let (batch, n, width) = last.dims3()?;
        let grid = (n - 1).isqrt();
        let map = last.narrow(1, 1, n - 1)?.reshape((batch, grid, grid, width))?;
        Ok(Decoded { logits: self.head.forward(&map)?, states: decoded })
    }
}

impl Head {
    fn load(from: &mut dyn Parameters, config: &ClipSegConfig) -> Result<Self, CheckpointError> {
        let (name, d, patch) = ("decoder.transposed_convolution", config.reduce_dim, config.vision_config.patch_size);
        if !config.use_complex_transposed_convolution {
            return Ok(Self::Simple { kernel: upsampling(from, name, (d, 1), patch)?, patch });
        }
        let stride = patch / 4;
        let weight = from.take(&format!("{name}.0.weight"), &[d, d, 3, 3])?;
        let bias = from.take(&format!("{name}.0.bias"), &[d])?;
        Ok(Self::Refined {
            mix: Linear::new(&weight.permute((0, 2, 3, 1))?.contiguous()?.flatten_from(1)?, Some(&bias))?,
            first: upsampling(from, &format!("{name}.2"), (d, d / 2), stride)?,
            second: upsampling(from, &format!("{name}.4"), (d / 2, 1), stride)?,
            stride,
        })
    }

    /// `[batch, rows, columns, reduce_dim]` to logits `[batch, height, width]`.
    fn forward(&self, map: &Tensor) -> candle_core::Result<Tensor> {
        let out = match self {
            Self::Simple { kernel, patch } => transposed_convolution(map, kernel, *patch)?,
            Self::Refined { mix, first, second, stride } => {
                let x = conv3x3(map, mix)?.relu()?;
                let x = transposed_convolution(&x, first, *stride)?.relu()?;
                transposed_convolution(&x, second, *stride)?
            }
        };
        out.squeeze(3)
    }
}

/// The product form of a transposed convolution stored as `[in, out, k, k]`.
fn upsampling(
    from: &mut dyn Parameters,
    name: &str,
    (inner, out): (usize, usize),
    k: usize,
) -> Result<Linear, CheckpointError> {
    let weight = from.take(&format!("{name}.weight"), &[inner, out, k, k])?;
    let bias = from.take(&format!("{name}.bias"), &[out])?;
    let matrix = weight.flatten_from(1)?.t()?.contiguous()?;
    let bias = bias.unsqueeze(1)?.broadcast_as((out, k * k))?.contiguous()?.flatten_all()?;
    Ok(Linear::new(&matrix, Some(&bias))?)
}
