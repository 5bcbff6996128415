//! `config.json` as published on the HuggingFace hub.
//!
//! Field names are those of the files; absent keys take the defaults of transformers'
//! `CLIPSegConfig`, `CLIPSegTextConfig` and `CLIPSegVisionConfig`; unknown keys are ignored.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::LoadError;
use crate::nn::Activation;

/// The whole model.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct ClipSegConfig {
    pub text_config: TextConfig,
    pub vision_config: VisionConfig,
    /// Features shared by text and image, and of the conditional embedding.
    pub projection_dim: usize,
    /// Vision layers (from 0) whose output the decoder reads.
    pub extract_layers: Vec<usize>,
    /// Width of the decoder.
    pub reduce_dim: usize,
    pub decoder_num_attention_heads: usize,
    pub decoder_intermediate_size: usize,
    /// Decoder layer (from 0) before which the prompt modulates the features.
    pub conditional_layer: usize,
    /// Three convolutions (`clipseg-rd64-refined`) instead of one at the end.
    pub use_complex_transposed_convolution: bool,
}

impl Default for ClipSegConfig {
    fn default() -> Self {
        Self {
            text_config: TextConfig::default(),
            vision_config: VisionConfig::default(),
            projection_dim: 512,
            extract_layers: vec![3, 6, 9],
            reduce_dim: 64,
            decoder_num_attention_heads: 4,
            decoder_intermediate_size: 2048,
            conditional_layer: 0,
            use_complex_transposed_convolution: false,
        }
    }
}

/// The text tower.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    pub vocab_size: usize,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub max_position_embeddings: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    /// 2 is a mistake in early published files: pooling is then at the highest token id.
    pub eos_token_id: u32,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
            eos_token_id: 49407,
        }
    }
}

/// The vision tower.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_channels: usize,
    /// Size at which the position embedding was trained, in pixels.
    pub image_size: usize,
    pub patch_size: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "quick_gelu".into(),
            layer_norm_eps: 1e-5,
        }
    }
}

impl ClipSegConfig {
    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// An unreadable file, or a value that no CLIPSeg can have; the message names the key.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        Self::parse(&read(path)?, path)
    }

    /// Parses and checks the text of a `config.json`; `path` is for messages.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, LoadError> {
        let config: Self = serde_json::from_str(text).map_err(|e| LoadError::Json { path: path.into(), source: e })?;
        match config.flaw() {
            Some((key, reason)) => Err(LoadError::Config { path: path.into(), key, reason }),
            None => Ok(config),
        }
    }

    fn flaw(&self) -> Option<(&'static str, String)> {
        let (t, v) = (&self.text_config, &self.vision_config);
        let positive = [
            ("projection_dim", self.projection_dim),
            ("reduce_dim", self.reduce_dim),
            ("decoder_intermediate_size", self.decoder_intermediate_size),
            ("text_config.vocab_size", t.vocab_size),
            ("text_config.hidden_size", t.hidden_size),
            ("text_config.intermediate_size", t.intermediate_size),
            ("text_config.max_position_embeddings", t.max_position_embeddings),
            ("vision_config.hidden_size", v.hidden_size),
            ("vision_config.intermediate_size", v.intermediate_size),
            ("vision_config.patch_size", v.patch_size),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Some((key, "must be positive".into()));
        }
        let divided = [
            ("decoder_num_attention_heads", self.decoder_num_attention_heads, self.reduce_dim),
            ("text_config.num_attention_heads", t.num_attention_heads, t.hidden_size),
            ("vision_config.num_attention_heads", v.num_attention_heads, v.hidden_size),
        ];
        if let Some((key, heads, width)) = divided.iter().find(|(_, h, w)| *h == 0 || w % h != 0) {
            return Some((key, format!("{heads} heads do not divide a width of {width}")));
        }
        if v.image_size == 0 || !v.image_size.is_multiple_of(v.patch_size) {
            return Some(("vision_config.image_size", format!("must be a multiple of patch_size {}", v.patch_size)));
        }
        if v.num_channels != 3 {
            return Some(("vision_config.num_channels", format!("{} channels: only RGB is supported", v.num_channels)));
        }
        match self.extract_layers.iter().max() {
            None => return Some(("extract_layers", "must name at least one layer".into())),
            Some(last) if *last >= v.num_hidden_layers => {
                return Some(("extract_layers", format!("layer {last} of {} layers", v.num_hidden_layers)));
            }
            Some(_) => {}
        }
        if self.conditional_layer >= self.extract_layers.len() {
            let layers = self.extract_layers.len();
            return Some(("conditional_layer", format!("{} of {layers} decoder layers", self.conditional_layer)));
        }
        if self.use_complex_transposed_convolution && v.patch_size != 16 {
            let reason =
                format!("the refined head multiplies by (patch/4)^2, so it needs patch 16, not {}", v.patch_size);
            return Some(("use_complex_transposed_convolution", reason));
        }
        for (key, name) in [("text_config.hidden_act", &t.hidden_act), ("vision_config.hidden_act", &v.hidden_act)] {
            if activation(name).is_none() {
                return Some((key, format!("{name:?} is not one of quick_gelu, gelu, relu")));
            }
        }
        None
    }
}

/// The non-linearity of a configuration name.
pub(super) fn activation(name: &str) -> Option<Activation> {
    match name {
        "quick_gelu" => Some(Activation::QuickGelu),
        "gelu" => Some(Activation::Gelu),
        "relu" => Some(Activation::Relu),
        _ => None,
    }
}

pub(super) fn read(path: &Path) -> Result<String, LoadError> {
    std::fs::read_to_string(path).map_err(|source| LoadError::Read { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClipSegConfig, LoadError> {
        ClipSegConfig::parse(text, Path::new("config.json"))
    }

    #[test]
    fn absent_keys_take_the_defaults_of_transformers() -> Result<(), LoadError> {
        let config = parse(r#"{"vision_config": {"patch_size": 16}, "anything": 1}"#)?;
        assert_eq!((config.projection_dim, config.text_config.vocab_size), (512, 49408));
        assert_eq!((config.vision_config.patch_size, config.vision_config.num_attention_heads), (16, 12));
        assert!(!config.use_complex_transposed_convolution);
        Ok(())
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (text, key) in [
            (r#"{"extract_layers": [12]}"#, "extract_layers"),
            (r#"{"extract_layers": []}"#, "extract_layers"),
            (r#"{"conditional_layer": 3}"#, "conditional_layer"),
            (r#"{"reduce_dim": 0}"#, "reduce_dim"),
            (r#"{"text_config": {"num_attention_heads": 7}}"#, "text_config.num_attention_heads"),
            (r#"{"vision_config": {"hidden_act": "swish"}}"#, "vision_config.hidden_act"),
            (r#"{"vision_config": {"image_size": 225}}"#, "vision_config.image_size"),
            (r#"{"use_complex_transposed_convolution": true}"#, "use_complex_transposed_convolution"),
            (r#"{"projection_dim": "x"}"#, "projection_dim"),
        ] {
            let message = parse(text).expect_err(text).to_string();
            assert!(message.contains("config.json"), "{message}");
            assert!(message.contains(key) || message.contains("invalid type"), "{message}");
        }
    }
}
