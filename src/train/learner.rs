//! What is trained: a whole network, or adapters on a frozen one.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::variables::Variables;
use super::vocabulary;
use super::{Phrasings, TrainError};
use crate::model::Preprocess;
use crate::model::checkpoint::{self, CheckpointError};
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
    frozen: HashMap<String, Tensor>,
    adapters: Option<AdapterScope>,
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
        let Parts { config, preprocess, tokenizer, weights, .. } = Parts::read(folder)?;
        let tensors = weights.into_tensors()?;
        let mut learner = Self { config, preprocess, tokenizer, frozen: HashMap::new(), adapters };
        if learner.adapters.is_some() {
            learner.frozen = tensors;
        } else {
            for (name, tensor) in tensors {
                variables.insert(&name, &tensor)?;
            }
            for file in MODEL_FILES {
                copy(&folder.join(file), &out.join(file))?;
            }
        }
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
        let learner = Self { config, preprocess, tokenizer, frozen: HashMap::new(), adapters: None };
        learner.network(&mut variables)?;
        Ok((learner, variables))
    }

    /// The network of these variables, recording a graph.
    pub fn network(&self, variables: &mut Variables) -> Result<Network, TrainError> {
        self.assemble(variables)
    }

    /// The same network for answers only: nothing is recorded.
    pub fn frozen_network(&self, variables: &Variables) -> Result<Network, TrainError> {
        self.assemble(&mut Frozen(&variables.tensors().into_iter().collect()))
    }

    fn assemble(&self, from: &mut dyn Parameters) -> Result<Network, TrainError> {
        match &self.adapters {
            None => Ok(Network::build(&self.config, from)?),
            Some(scope) => {
                let network = Network::build(&self.config, &mut Frozen(&self.frozen))?;
                Ok(network.with_adapters(&self.config, scope, from)?)
            }
        }
    }

    /// Writes the weights into `out`: half precision for a whole model, f32 for adapters.
    pub fn save(&self, variables: &Variables, out: &Path) -> Result<(), TrainError> {
        let tensors = variables.tensors();
        match self.adapters {
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

/// Tensors that are read and never trained.
struct Frozen<'a>(&'a HashMap<String, Tensor>);

impl Parameters for Frozen<'_> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        let path = || std::path::PathBuf::from("the frozen model");
        let tensor = self.0.get(name).ok_or_else(|| CheckpointError::Missing {
            path: path(),
            name: name.into(),
            wanted: shape.to_vec(),
        })?;
        if tensor.dims() != shape {
            let (wanted, found) = (shape.to_vec(), tensor.dims().to_vec());
            return Err(CheckpointError::Shape { path: path(), name: name.into(), wanted, found });
        }
        Ok(tensor.to_device(&Device::Cpu)?)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

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
