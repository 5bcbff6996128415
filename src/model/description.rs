//! What a person may want to know of a model before using it.

use std::path::Path;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::clipseg::{LoadError, Parts};
use super::embedded;
use super::registry::Source;

/// A model in numbers, and what it can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Description {
    /// Name of the model, as in reports.
    pub name: String,
    /// A folder, or `embedded`.
    pub source: String,
    /// Its size.
    pub architecture: Architecture,
    /// SHA-256 of the weights file, in lower-case hexadecimal.
    pub weights_sha256: String,
    /// What it was trained to find; empty if its folder does not say.
    pub structures: Vec<Structure>,
}

/// The size of a CLIPSeg.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Architecture {
    /// Side of the network's square input in pixels.
    pub input_px: usize,
    /// Side of a patch in pixels.
    pub patch_px: usize,
    /// Width of the vision tower.
    pub vision_width: usize,
    /// Layers of the vision tower in the configuration; those after the last extracted one are not run.
    pub vision_layers: usize,
    /// Vision layers that the decoder reads, from 0.
    pub extract_layers: Vec<usize>,
    /// Width of the text tower.
    pub text_width: usize,
    /// Layers of the text tower.
    pub text_layers: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Width of the decoder.
    pub decoder_width: usize,
    /// Numbers in the weights file.
    pub parameters: usize,
}

/// Something that a model was trained to find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Structure {
    /// Names of the structure.
    pub names: Vec<String>,
    /// Prompts that ask for it.
    pub phrasings: Vec<String>,
}

/// A `phrasings.json`.
#[derive(Deserialize)]
struct Phrasings {
    structures: Vec<Structure>,
}

impl Description {
    /// Reads a model's files and sums them up.
    ///
    /// # Errors
    /// A missing or damaged file, named in the message.
    pub fn of(source: &Source) -> Result<Self, LoadError> {
        let parts = source.parts()?;
        Ok(Self {
            architecture: Architecture::of(&parts),
            name: parts.name,
            source: source.to_string(),
            weights_sha256: source.weights_sha256()?,
            structures: structures(source)?,
        })
    }
}

impl Architecture {
    fn of(Parts { config, preprocess, weights, .. }: &Parts) -> Self {
        let (vision, text) = (&config.vision_config, &config.text_config);
        Self {
            input_px: preprocess.height,
            patch_px: vision.patch_size,
            vision_width: vision.hidden_size,
            vision_layers: vision.num_hidden_layers,
            extract_layers: config.extract_layers.clone(),
            text_width: text.hidden_size,
            text_layers: text.num_hidden_layers,
            vocabulary: text.vocab_size,
            decoder_width: config.reduce_dim,
            parameters: weights.names().filter_map(|name| Some(weights.shape(name)?.iter().product::<usize>())).sum(),
        }
    }
}

fn structures(source: &Source) -> Result<Vec<Structure>, LoadError> {
    let parse = |text: &str, path: &Path| {
        let found: Phrasings =
            serde_json::from_str(text).map_err(|source| LoadError::Json { path: path.into(), source })?;
        Ok(found.structures)
    };
    match source {
        Source::Embedded => parse(embedded::PHRASINGS, &embedded::path("phrasings.json")),
        Source::Folder(folder) => {
            let path = folder.join("phrasings.json");
            match std::fs::read_to_string(&path) {
                Ok(text) => parse(&text, &path),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(source) => Err(LoadError::Read { path, source }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_model_is_described() -> Result<(), LoadError> {
        let demo = Description::of(&Source::Embedded)?;
        assert_eq!((demo.name.as_str(), demo.source.as_str()), ("demo", "embedded"));
        assert_eq!(demo.weights_sha256.len(), 64);
        assert!(demo.architecture.parameters > 1_000_000, "{:?}", demo.architecture);
        assert!(demo.structures.iter().any(|s| s.phrasings.iter().any(|p| p == "polyp")));
        Ok(())
    }

    #[test]
    fn a_damaged_list_of_prompts_is_named() -> std::io::Result<()> {
        let dir = tempfile::tempdir()?;
        let source = Source::Folder(dir.path().into());
        assert_eq!(structures(&source).expect("no list is fine"), []);
        std::fs::write(dir.path().join("phrasings.json"), "{")?;
        let message = structures(&source).expect_err("damaged").to_string();
        assert!(message.contains("phrasings.json"), "{message}");
        Ok(())
    }
}
