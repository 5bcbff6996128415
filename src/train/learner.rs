//! What is trained: a whole network, or adapters on a frozen one.

use std::path::Path;

use candle_core::DType;
use serde_json::{Value, json};

use super::variables::Variables;
use super::vocabulary;
use super::{Phrasings, TrainError};
use crate::model::Preprocess;
use crate::model::checkpoint::{self, Weights};
use crate::model::clipseg::{AdapterScope, ClipSegConfig, Network, Parameters, Parts, parse_preprocessor};
use crate::model::tokenizer::Tokenizer;

/// Merges that a vocabulary of one's own learns at most.
const MERGES: usize = 400;

/// Where a run starts.
#[derive(Debug, Clone)]
pub enum Start {
    /// Random weights for the `config.json` and `preprocessor_config.json` of a folder, with a
    /// vocabulary learned from the phrasings.
    Architecture(std::path::PathBuf),
    /// The weights of a model folder, all of them trained.
    Model(std::path::PathBuf),
    /// A model folder that stays as it is, with new adapters.
    Adapters(std::path::PathBuf, AdapterScope),
}

/// A network as a function of variables, with all that a saved model needs beside its weights.
pub(super) struct Learner {
    pub config: ClipSegConfig,
    pub preprocess: Preprocess,
    pub tokenizer: Tokenizer,
    /// The frozen network and where its adapters sit, if only those are trained.
    adapted: Option<(Network, AdapterScope)>,
}

impl Learner {
    /// Prepares the output folder (configuration, vocabulary) and the variables.
    pub fn open(start: &Start, out: &Path, phrasings: &Phrasings, seed: u64) -> Result<(Self, Variables), TrainError> {
        let mut variables = Variables::new(seed);
        let (folder, adapters) = match start {
            Start::Architecture(folder) => return Self::from_architecture(folder, out, phrasings, variables),
            Start::Model(folder) => (folder, None),
            Start::Adapters(folder, scope) => (folder, Some(scope.clone())),
        };
        let Parts { config, preprocess, tokenizer, mut weights, .. } = Parts::read(folder)?;
        let adapted = match adapters {
            Some(scope) => Some((Network::build(&config, &mut weights)?, scope)),
            None => {
                for (name, tensor) in weights.into_tensors()? {
                    variables.insert(&name, &tensor)?;
                }
                for file in MODEL_FILES {
                    copy(&folder.join(file), &out.join(file))?;
                }
                None
            }
        };
        let learner = Self { config, preprocess, tokenizer, adapted };
        learner.network(&mut variables)?;
        Ok((learner, variables))
    }

    fn from_architecture(
        folder: &Path,
        out: &Path,
        phrasings: &Phrasings,
        mut variables: Variables,
    ) -> Result<(Self, Variables), TrainError> {
        vocabulary::learn(&phrasings.texts(), MERGES)?.write(out)?;
        let tokenizer = Tokenizer::open(out)?;
        let path = folder.join("config.json");
        let text = read(&path)?;
        let mut config: Value =
            serde_json::from_str(&text).map_err(|source| TrainError::Json { path: path.clone(), source })?;
        config["text_config"]["vocab_size"] = json!(tokenizer.vocab_size());
        config["text_config"]["bos_token_id"] = json!(tokenizer.bos());
        config["text_config"]["eos_token_id"] = json!(tokenizer.eos());
        let text = serde_json::to_string_pretty(&config).expect("a JSON value is always printable") + "\n";
        write(&out.join("config.json"), &text)?;
        let config = ClipSegConfig::parse(&text, &path)?;
        let file = folder.join("preprocessor_config.json");
        let preprocessor = read(&file)?;
        write(&out.join("preprocessor_config.json"), &preprocessor)?;
        let preprocess = parse_preprocessor(&preprocessor, &file, config.vision_config.patch_size)?;
        let learner = Self { config, preprocess, tokenizer, adapted: None };
        learner.network(&mut variables)?;
        Ok((learner, variables))
    }

    /// The network of these variables, recording a graph.
    pub fn network(&self, variables: &mut Variables) -> Result<Network, TrainError> {
        self.assemble(variables)
    }

    /// The same network for answers only: nothing is recorded.
    pub fn frozen_network(&self, variables: &Variables) -> Result<Network, TrainError> {
        let tensors = variables.tensors().into_iter().collect();
        self.assemble(&mut Weights::from_tensors("the averaged weights", tensors))
    }

    fn assemble(&self, from: &mut dyn Parameters) -> Result<Network, TrainError> {
        match &self.adapted {
            None => Ok(Network::build(&self.config, from)?),
            Some((base, scope)) => Ok(base.clone().with_adapters(&self.config, scope, from)?),
        }
    }

    /// Writes the weights into `out`: half precision for a whole model, f32 for adapters.
    pub fn save(&self, variables: &Variables, out: &Path) -> Result<(), TrainError> {
        let tensors = variables.tensors();
        match self.adapted {
            None => checkpoint::save(&out.join("model.safetensors"), &tensors, DType::F16)?,
            Some(_) => checkpoint::save(&out.join("adapter.safetensors"), &tensors, DType::F32)?,
        }
        Ok(())
    }
}

/// Files of a model folder that training does not change.
const MODEL_FILES: [&str; 7] = [
    "config.json",
    "preprocessor_config.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
];

fn read(path: &Path) -> Result<String, TrainError> {
    std::fs::read_to_string(path).map_err(|source| TrainError::Read { path: path.into(), source })
}

fn write(path: &Path, text: &str) -> Result<(), TrainError> {
    std::fs::write(path, text).map_err(|source| TrainError::Write { path: path.into(), source })
}

/// Copies a file that may be absent.
fn copy(from: &Path, to: &Path) -> Result<(), TrainError> {
    if from.exists() && from != to {
        std::fs::copy(from, to).map_err(|source| TrainError::Write { path: to.into(), source })?;
    }
    Ok(())
}
