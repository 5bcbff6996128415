//! The vision tower: `pixel_values` to the hidden states that the decoder reads.
//!
//! Layers after the last extracted one, the final norm and the projection are never read by the
//! decoder, so they are never run.

use candle_core::{Device, Tensor};

use super::adapter::Adapters;
use super::block::{Block, BlockShape};
use super::config::{ClipSegConfig, activation};
use super::parameters::{Parameters, layer_norm};
use super::recompute::recomputed;
use crate::model::checkpoint::CheckpointError;
use crate::nn::{Activation, Format, LayerNorm, Linear, patchify};

/// CLIP's vision transformer up to the last extracted layer.
#[derive(Debug, Clone)]
pub(super) struct VisionTower {
    patch_size: usize,
    patches: Linear,
    class: Tensor,
    /// Trained on a square grid, `[1 + grid * grid, width]`.
    positions: Tensor,
    pre_norm: LayerNorm,
    blocks: Vec<Block>,
    /// Whether blocks keep only their input and run again for their gradient; not while weights are trained.
    pub recompute: bool,
    /// Factors of products with the blocks' weights are rounded to it where a gradient is asked for.
    pub format: Option<Format>,
}

impl VisionTower {
    pub fn load(from: &mut dyn Parameters, config: &ClipSegConfig) -> Result<Self, CheckpointError> {
        let vision = &config.vision_config;
        let (name, width, p) = ("clip.vision_model", vision.hidden_size, vision.patch_size);
        let shape = BlockShape {
            width,
            inner: vision.intermediate_size,
            heads: vision.num_attention_heads,
            epsilon: vision.layer_norm_eps,
            activation: activation(&vision.hidden_act).unwrap_or(Activation::QuickGelu),
            causal: false,
            norm_first: true,
        };
        let embedding = format!("{name}.embeddings");
        let grid = vision.image_size / p;
        let layers = config.extract_layers.iter().max().map_or(0, |last| last + 1);
        let kernel = from.take(&format!("{embedding}.patch_embedding.weight"), &[width, 3, p, p])?;
        Ok(Self {
            patch_size: p,
            patches: Linear::new(&kernel.flatten_from(1)?, None)?,
            class: from.take(&format!("{embedding}.class_embedding"), &[width])?,
            positions: from.take(&format!("{embedding}.position_embedding.weight"), &[grid * grid + 1, width])?,
            // the misspelling is the published name
            pre_norm: layer_norm(from, &format!("{name}.pre_layrnorm"), width, vision.layer_norm_eps)?,
            blocks: (0..layers)
                .map(|i| Block::load(from, &format!("{name}.encoder.layers.{i}"), shape))
                .collect::<Result<_, _>>()?,
            recompute: false,
            format: None,
        })
    }

    /// Hidden states `[batch, 1 + patches, width]`: after the first norm, then after each layer.
    /// `positions` is the [`Self::position_embedding`] of the input's size.
    pub fn forward(
        &self,
        pixel_values: &Tensor,
        positions: &Tensor,
        adapters: &Adapters,
    ) -> candle_core::Result<Vec<Tensor>> {
        let batch = pixel_values.dim(0)?;
        let patches = self.patches.forward(&patchify(pixel_values, self.patch_size)?)?;
        let class = self.class.reshape((1, 1, ()))?.broadcast_as((batch, 1, patches.dim(2)?))?.contiguous()?;
        let x = Tensor::cat(&[&class, &patches], 1)?.broadcast_add(positions)?;
        let format = self.format.filter(|_| x.track_op());
        let mut states = vec![self.pre_norm.forward(&x)?];
        for (i, block) in self.blocks.iter().enumerate() {
            let (x, adapters) = (states.last().expect("starts with one"), adapters.vision_layer(i));
            states.push(if self.recompute {
                let block = block.clone();
                recomputed(x, move |x| block.forward(x, &adapters, format))?
            } else {
                block.forward(x, &adapters, format)?
            });
        }
        Ok(states)
    }

    /// `[1, 1 + patches, width]` for inputs of `height` by `width` pixels: the trained grid, resized
    /// if this one differs.
    pub fn position_embedding(&self, height: usize, width: usize) -> candle_core::Result<Tensor> {
        let (rows, columns) = (height / self.patch_size, width / self.patch_size);
        let (n, width) = self.positions.dims2()?;
        let grid = (n - 1).isqrt();
        if (rows, columns) == (grid, grid) {
            return self.positions.unsqueeze(0);
        }
        let resize = |from, to| {
            let matrix = Tensor::from_vec(bicubic(from, to), (to, from), &Device::Cpu)?;
            matrix.to_dtype(self.positions.dtype())?.to_device(self.positions.device())
        };
        let trained = self.positions.narrow(0, 1, n - 1)?.reshape((grid, grid * width))?;
        let tall = resize(grid, rows)?.matmul(&trained)?.reshape((rows, grid, width))?;
        let sideways = resize(grid, columns)?.broadcast_left(rows)?.contiguous()?.matmul(&tall)?;
        let resized = sideways.reshape((rows * columns, width))?;
        Tensor::cat(&[&self.positions.narrow(0, 0, 1)?, &resized], 0)?.unsqueeze(0)
    }
}

/// The `[to, from]` matrix of PyTorch's bicubic interpolation: a = -0.75, half-pixel centres,
/// edges repeated, no antialiasing.
fn bicubic(from: usize, to: usize) -> Vec<f64> {
    const A: f64 = -0.75;
    let near = |t: f64| ((A + 2.) * t - (A + 3.)) * t * t + 1.;
    let far = |t: f64| ((A * t - 5. * A) * t + 8. * A) * t - 4. * A;
    let mut matrix = vec![0f64; to * from];
    for (i, row) in matrix.chunks_exact_mut(from).enumerate() {
        let at = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
        let t = at - at.floor();
        let weights = [far(t + 1.), near(t), near(1. - t), far(2. - t)];
        for (k, weight) in weights.iter().enumerate() {
            let source = at.floor() as isize + k as isize - 1;
            row[source.clamp(0, from as isize - 1) as usize] += weight;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bicubic_rows_sum_to_one_and_the_same_size_is_the_identity() {
        for (from, to) in [(14, 22), (3, 4), (22, 16), (4, 4)] {
            for (i, row) in bicubic(from, to).chunks_exact(from).enumerate() {
                assert!((row.iter().sum::<f64>() - 1.).abs() < 1e-12);
                assert!(from != to || (row[i] - 1.).abs() < 1e-12);
            }
        }
    }
}
