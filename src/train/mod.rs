//! Fitting a model: data, augmentation, optimiser, schedule, validation, resuming.
//!
//! Training rebuilds the network from its variables at each step; the same code that loads a
//! checkpoint for an attack thus trains it. The loss is the one that the paper's models were
//! fine-tuned with, 1.5 soft Dice + 1.0 cross-entropy.

mod augment;
mod batch;
pub mod data;
mod learner;
mod optimizer;
mod phrasings;
mod random;
mod run;
mod state;
mod validate;
mod variables;
pub mod vocabulary;

use std::path::PathBuf;

pub use learner::Start;
pub use optimizer::AdamW;
pub use phrasings::Phrasings;
pub use run::{Length, Progress, Stage, TrainConfig, train};
pub use validate::SetScore;

use crate::imaging::ImagingError;
use crate::metric::MetricError;
use crate::model::checkpoint::CheckpointError;
use crate::model::clipseg::LoadError;
use crate::model::tokenizer::TokenizerError;
use vocabulary::VocabularyError;

/// Why a model could not be trained.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file could not be written.
    #[error("{}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    /// A file is not the JSON it should be.
    #[error("{}: {source}", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    /// The data does not hang together.
    #[error("{}: {reason}", path.display())]
    Data { path: PathBuf, reason: String },
    /// An image or mask could not be read.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// Masks could not be compared.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Weights could not be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model to start from could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A vocabulary could not be written.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// A prompt could not be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// A tensor operation failed, or a gradient was not finite.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
