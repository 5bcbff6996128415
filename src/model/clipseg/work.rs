//! How much arithmetic a step is, counted from the architecture.
//!
//! Only matrix products count: linear layers, the two products of attention, convolutions. Norms, softmax and
//! activations are below a hundredth of it. A product is `2 m n k` floating-point operations. What is counted is
//! what has to be done: vision layers up to the last extracted one, no text tower (its answer is kept), and on the
//! way back one product for each linear layer (weights get no gradient) but two for each product of attention, both
//! operands of which depend on the image. Adapters are left out.

use super::ClipSegConfig;

/// Floating-point operations for one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Logits from `pixel_values`.
    pub forward: u64,
    /// The gradient to `pixel_values`, given that of the logits.
    pub gradient: u64,
}

/// A side that the patches do not divide.
#[derive(Debug, thiserror::Error)]
#[error("an input of {side} px does not divide into patches of {patch} px: use a multiple")]
pub struct UnevenSide {
    side: usize,
    patch: usize,
}

impl Work {
    /// The work on a square input of `side` pixels.
    ///
    /// # Errors
    /// [`UnevenSide`].
    pub fn of(config: &ClipSegConfig, side: usize) -> Result<Self, UnevenSide> {
        let patch = config.vision_config.patch_size;
        if side == 0 || !side.is_multiple_of(patch) {
            return Err(UnevenSide { side, patch });
        }
        let Products { linear, attention } = products(config, (side / patch) as u64);
        Ok(Self { forward: linear + attention, gradient: linear + 2 * attention })
    }

    /// Logits and gradient.
    pub fn step(&self) -> u64 {
        self.forward + self.gradient
    }
}

/// Operations of a forward pass, by how many operands depend on the image.
#[derive(Default)]
struct Products {
    /// The other operand is a weight.
    linear: u64,
    /// Both operands do.
    attention: u64,
}

impl Products {
    /// `count` transformer blocks over `tokens` states of `width`.
    fn blocks(&mut self, count: usize, tokens: u64, width: usize, inner: usize) {
        let (count, width, inner) = (count as u64, width as u64, inner as u64);
        self.linear += count * 2 * tokens * (4 * width * width + 2 * width * inner);
        self.attention += count * 2 * (2 * tokens * tokens * width);
    }
}

fn products(config: &ClipSegConfig, grid: u64) -> Products {
    let vision = &config.vision_config;
    let (patches, tokens) = (grid * grid, grid * grid + 1);
    let (width, reduced, patch) = (vision.hidden_size as u64, config.reduce_dim as u64, vision.patch_size as u64);
    let extracted = config.extract_layers.len();
    let needed = config.extract_layers.iter().max().map_or(0, |last| last + 1);

    let mut all = Products { linear: 2 * patches * width * vision.num_channels as u64 * patch * patch, attention: 0 };
    all.blocks(needed, tokens, vision.hidden_size, vision.intermediate_size);
    all.linear += extracted as u64 * 2 * tokens * width * reduced;
    all.blocks(extracted, tokens, config.reduce_dim, config.decoder_intermediate_size);
    all.linear += if config.use_complex_transposed_convolution {
        let (half, quarter) = (reduced / 2, patch / 4);
        let area = quarter * quarter;
        2 * patches * (9 * reduced * reduced + area * reduced * half + area * area * half)
    } else {
        2 * patches * reduced * patch * patch
    };
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clipseg::{TextConfig, VisionConfig};

    #[test]
    fn the_published_model_takes_163_gigaflop_for_a_step() {
        let vision_config = VisionConfig { patch_size: 16, ..VisionConfig::default() };
        let config = ClipSegConfig { vision_config, use_complex_transposed_convolution: true, ..Default::default() };
        let work = Work::of(&config, 352).unwrap();
        // 484 patches and the class token, ten layers of 768
        let vision_linear = 10 * 2 * 485 * (4 * 768 * 768 + 2 * 768 * 3072);
        let vision_attention = 10 * 4 * 485 * 485 * 768;
        let vision = 2 * vision_linear + 3 * vision_attention;
        assert_eq!((work.step() as f64 / 1e8).round(), 1627.);
        assert!(vision < work.step() && vision as f64 > 0.97 * work.step() as f64);
    }

    #[test]
    fn a_small_model_agrees_with_counting_by_hand() {
        let vision_config = VisionConfig {
            hidden_size: 4,
            intermediate_size: 8,
            num_hidden_layers: 3,
            patch_size: 2,
            ..VisionConfig::default()
        };
        let config = ClipSegConfig {
            vision_config,
            text_config: TextConfig::default(),
            extract_layers: vec![1],
            reduce_dim: 2,
            decoder_intermediate_size: 3,
            ..ClipSegConfig::default()
        };
        // one patch, two tokens: patch product, two layers, the reduction, a decoder layer, the last convolution
        let linear = 2 * 4 * 12 + 2 * (2 * 2 * (64 + 64)) + 2 * 2 * 4 * 2 + 2 * 2 * (16 + 12) + 2 * 2 * 4;
        let attention = 2 * (4 * 4 * 4) + 4 * 4 * 2;
        let work = Work::of(&config, 2).unwrap();
        assert_eq!((work.forward, work.gradient), (linear + attention, linear + 2 * attention));
    }

    #[test]
    fn a_size_that_patches_do_not_divide_is_refused() {
        let message = Work::of(&ClipSegConfig::default(), 100).unwrap_err().to_string();
        assert!(message.contains("100 px") && message.contains("32 px"), "{message}");
    }
}
