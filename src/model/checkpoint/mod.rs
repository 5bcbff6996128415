//! Weights files, read strictly.
//!
//! A model *takes* its tensors by name and shape from a [`Weights`] and then calls [`Weights::finish`]: a
//! tensor that is missing, has another shape, holds a NaN or that nobody took is an error that names the
//! file and the tensor. So a checkpoint of another model never loads by half.
//!
//! The format is recognised by content; for now that is safetensors.

mod error;
mod safetensors;
mod weights;

pub use error::CheckpointError;
pub use safetensors::save;
pub use weights::Weights;
