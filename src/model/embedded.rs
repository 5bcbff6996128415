//! The demo model inside the program, so that it works with no file beside it.

use std::path::{Path, PathBuf};

use candle_core::Device;

use super::checkpoint::Weights;
use super::clipseg::{ClipSegConfig, LoadError, Parts, parse_preprocessor};
use super::tokenizer::Tokenizer;

const CONFIG: &str = include_str!("../../models/demo/config.json");
const PREPROCESSOR: &str = include_str!("../../models/demo/preprocessor_config.json");
const VOCAB: &[u8] = include_bytes!("../../models/demo/vocab.json");
const MERGES: &[u8] = include_bytes!("../../models/demo/merges.txt");

/// The prompts the demo model was trained with.
pub(super) const PHRASINGS: &str = include_str!("../../models/demo/phrasings.json");
/// Its weights: safetensors.
pub(super) const WEIGHTS: &[u8] = include_bytes!("../../models/demo/model.safetensors");

/// What errors call an embedded file.
pub(super) fn path(file: &str) -> PathBuf {
    Path::new("embedded").join(file)
}

/// The files as a model's parts.
pub(super) fn parts() -> Result<Parts, LoadError> {
    let config = ClipSegConfig::parse(CONFIG, &path("config.json"))?;
    let preprocessor = path("preprocessor_config.json");
    Ok(Parts {
        name: "demo".into(),
        preprocess: parse_preprocessor(PREPROCESSOR, &preprocessor, config.vision_config.patch_size)?,
        tokenizer: Tokenizer::from_vocab_and_merges(VOCAB, MERGES)?,
        weights: Weights::from_tensors(
            path("model.safetensors"),
            candle_core::safetensors::load_buffer(WEIGHTS, &Device::Cpu)?,
        ),
        config,
    })
}
