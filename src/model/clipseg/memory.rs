//! How much memory an image takes while it is asked about, from the configuration.
//!
//! Counted are the numbers that live at once where a call is at its largest: for a gradient all that the backward pass
//! needs of every block, and one block's own work; for logits the hidden states and one block. The factors are upper
//! bounds of what the layers of `nn` keep; `tests/memory.rs` holds them against the peak of a process.

use candle_core::{DType, Device};

use super::ClipSegConfig;
use crate::model::Question;

/// Tensors of a network's input size around the network: the input as it arrives, stacked and cut into patches, its
/// gradient, and the loss with its own backward pass.
const PICTURES: u64 = 48;

/// The sizes that a call's memory depends on.
#[derive(Debug, Clone)]
pub(super) struct Footprint {
    patch: u64,
    vision: BlockSize,
    vision_blocks: u64,
    decoder: BlockSize,
    decoder_blocks: u64,
    refined: bool,
}

#[derive(Debug, Clone, Copy)]
struct BlockSize {
    width: u64,
    inner: u64,
    heads: u64,
}

/// How a model works.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mode<'a> {
    pub device: &'a Device,
    pub dtype: DType,
    /// Whether vision blocks keep their input only.
    pub recompute: bool,
}

impl Footprint {
    pub fn new(config: &ClipSegConfig) -> Self {
        let vision = &config.vision_config;
        let size = |width: usize, inner: usize, heads: usize| BlockSize {
            width: width as u64,
            inner: inner as u64,
            heads: heads as u64,
        };
        Self {
            patch: vision.patch_size as u64,
            vision: size(vision.hidden_size, vision.intermediate_size, vision.num_attention_heads),
            vision_blocks: config.extract_layers.iter().max().map_or(0, |last| *last as u64 + 1),
            decoder: size(config.reduce_dim, config.decoder_intermediate_size, config.decoder_num_attention_heads),
            decoder_blocks: config.extract_layers.len() as u64,
            refined: config.use_complex_transposed_convolution,
        }
    }

    /// Bytes that one image of `size` by `size` pixels adds to a call.
    pub fn bytes(&self, size: usize, question: Question, mode: Mode) -> u64 {
        let pixels = (size * size) as u64;
        let tokens = 1 + pixels / (self.patch * self.patch).max(1);
        let state = tokens * self.vision.width;
        let (vision, decoder) = (self.vision.numbers(tokens, mode.device), self.decoder.numbers(tokens, mode.device));
        // The states after all blocks stay until the decoder has read them.
        let blocks = self.vision_blocks * state
            + match question {
                Question::Logits => vision.max(decoder),
                Question::Gradient if mode.recompute => 2 * vision + self.decoder_blocks * decoder,
                Question::Gradient => (self.vision_blocks + 1) * vision + self.decoder_blocks * decoder,
            };
        // Nine shifted copies for the 3x3 convolution, then sixteen pixels of half the width for each token.
        let head = if self.refined { tokens * self.decoder.width * (9 + 3 * 8) + 3 * pixels } else { 3 * pixels };
        (blocks + head) * mode.dtype.size_in_bytes() as u64 + PICTURES * pixels * 4
    }
}

impl BlockSize {
    /// Numbers that the backward pass of a block needs, for one image.
    fn numbers(&self, tokens: u64, device: &Device) -> u64 {
        let (state, inner, scores) = (tokens * self.width, tokens * self.inner, tokens * tokens * self.heads);
        match device {
            // The block's output, q, k, v, two sums and the MLP's wide layer, then what the heads and their gradients
            // hold while they are at work.
            Device::Cpu => 6 * state + inner + self.heads * tokens,
            // Composed of tensor operations, each of which keeps its result.
            _ => 30 * state + 6 * inner + 5 * scores,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_grows_with_what_is_asked_for() {
        let mut config = ClipSegConfig::default();
        // as published
        config.vision_config.patch_size = 16;
        let footprint = Footprint::new(&config);
        let mode = Mode { device: &Device::Cpu, dtype: DType::F32, recompute: false };
        let gradient = footprint.bytes(352, Question::Gradient, mode);
        assert!(footprint.bytes(352, Question::Logits, mode) < gradient / 2);
        assert!(footprint.bytes(352, Question::Gradient, Mode { recompute: true, ..mode }) < gradient / 2);
        assert!(footprint.bytes(352, Question::Gradient, Mode { dtype: DType::BF16, ..mode }) < gradient);
        assert!(footprint.bytes(704, Question::Gradient, mode) > 3 * gradient);
    }
}
