//! Weights files, read strictly.
//!
//! A model *takes* its tensors by name and shape from a [`Weights`] and then calls [`Weights::finish`]: a
//! tensor that is missing, has another shape, holds a NaN or that nobody took is an error that names the
//! file and the tensor. So a checkpoint of another model never loads by half.
//!
//! The format is recognised by content: safetensors, or a zip archive of `torch.save` (also what Lightning
//! writes), whose pickle is interpreted without executing anything.

mod adapter_file;
mod error;
mod pickle;
mod pytorch;
mod safetensors;
mod weights;

pub use adapter_file::AdapterFile;
pub use error::CheckpointError;
pub use safetensors::save;
pub use weights::Weights;
