//! Segmentation models, and all that the rest of the system may know of one.
//!
//! A model takes a *prepared* prompt and `pixel_values` (the network's own input: resized and
//! normalised) and answers logits. How an image becomes `pixel_values` is described by its
//! [`Preprocess`], which is a linear map, so gradients go back through its transpose.

mod band;
pub mod checkpoint;
pub mod clipseg;
mod description;
mod device;
mod embedded;
mod precision;
mod preprocess;
mod registry;
mod resize;
pub mod tokenizer;
mod vocabulary;

use std::sync::Arc;

use candle_core::{Device, Tensor};

pub use description::{Architecture, Description, Structure};
pub use device::{DeviceChoice, DeviceError};
pub use precision::{Precision, PrecisionError};
pub use preprocess::Preprocess;
pub use registry::{RegistryError, Source, file_sha256};
pub use resize::{Resize, resize_image, upsample, upsampled_mask};
pub use vocabulary::Vocabulary;

/// A prompt after the text tower: whatever the model wants to keep of it, `[features]`.
///
/// Computed once per prompt and reused for every step of every attack on it.
#[derive(Debug, Clone)]
pub struct Conditioning(pub Tensor);

/// What of a text a gradient is taken to.
#[derive(Debug, Clone)]
pub enum TextInput {
    /// The embeddings of these tokens, start and end included.
    Tokens(Vec<u32>),
    /// What the text tower makes of a prompt.
    Conditioning(Conditioning),
}

/// What can go wrong inside a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The gradient did not reach the image or the text, or is not finite.
    #[error("the gradient is {0}: the attack would be meaningless")]
    Gradient(&'static str),
    /// The prompt could not be used.
    #[error("prompt {prompt:?}: {reason}")]
    Prompt { prompt: String, reason: String },
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// What a model is asked about an image. The two cost differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    /// [`SegmentationModel::logits_and_vjp`].
    Gradient,
    /// [`SegmentationModel::logits`].
    Logits,
}

impl Question {
    /// Both, in the order shown to operators.
    pub const ALL: [Self; 2] = [Self::Gradient, Self::Logits];

    /// The name used in metrics and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gradient => "gradient",
            Self::Logits => "logits",
        }
    }
}

/// A text-prompted segmentation model, differentiable in its image.
pub trait SegmentationModel: Send {
    /// Name of the architecture and checkpoint, for reports.
    fn name(&self) -> &str;

    /// How an image becomes the network's input.
    fn preprocess(&self) -> &Preprocess;

    /// Where the weights live and the work is done.
    fn device(&self) -> &Device;

    /// The arithmetic of [`Self::logits_and_vjp`]; [`Self::logits`] is always computed in f32.
    fn precision(&self) -> Precision {
        Precision::F32
    }

    /// Bytes of device memory that one more row adds to a call, at most; the weights are not counted.
    ///
    /// `None` if the model cannot say: then only running out of memory limits a call.
    fn bytes_per_row(&self, _question: Question) -> Option<u64> {
        None
    }

    /// Encodes a prompt.
    ///
    /// # Errors
    /// [`ModelError::Prompt`] if the text cannot be tokenised.
    fn prepare_prompt(&self, prompt: &str) -> Result<Conditioning, ModelError>;

    /// How it reads texts, if it reads them as tokens.
    fn vocabulary(&self) -> Option<Arc<Vocabulary>> {
        None
    }

    /// Logits `[batch, size, size]` of `pixel_values` `[batch, 3, size, size]`, one prompt per row.
    ///
    /// # Errors
    /// Shapes that do not fit the model.
    fn logits(&self, pixel_values: &Tensor, prompts: &[Conditioning]) -> Result<Tensor, ModelError>;

    /// Logits and the vector-Jacobian product to `pixel_values`.
    ///
    /// `cotangent` is shown the logits `[batch, size, size]` and answers the gradient of a scalar
    /// with respect to them, in the same shape. Answers the logits and the gradient
    /// `[batch, 3, size, size]`.
    ///
    /// # Errors
    /// [`ModelError::Gradient`] if no gradient arrives or it is not finite.
    fn logits_and_vjp(
        &self,
        pixel_values: &Tensor,
        prompts: &[Conditioning],
        cotangent: &mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<(Tensor, Tensor), ModelError>;

    /// Logits `[1, size, size]` of one image `[1, 3, size, size]`, and the vector-Jacobian product to a text: `[tokens,
    /// width]` for the embeddings of tokens, `[features]` for a [`Conditioning`]. Always computed in f32.
    ///
    /// # Errors
    /// [`ModelError::Gradient`] if no gradient arrives or it is not finite, or the model has none to its text.
    fn logits_and_text_vjp(
        &self,
        _pixel_values: &Tensor,
        _text: &TextInput,
        _cotangent: &mut dyn FnMut(&Tensor) -> Result<Tensor, ModelError>,
    ) -> Result<(Tensor, Tensor), ModelError> {
        Err(ModelError::Gradient("missing, for this model has none to its text"))
    }
}
