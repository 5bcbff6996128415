//! Where a model's weights come from, by their HuggingFace names.

use candle_core::{DType, Device, Tensor};

use crate::model::checkpoint::{CheckpointError, Weights};
use crate::nn::{LayerNorm, Linear};

/// A source of named tensors: a checkpoint while loading, variables while training.
pub trait Parameters {
    /// The tensor `name`, which must have `shape`.
    ///
    /// # Errors
    /// A missing or mis-shaped tensor; the message names the file and the tensor.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError>;
}

impl Parameters for Weights {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        Weights::take(self, name, shape)
    }
}

/// The weights of a file, converted to the device and dtype of the model.
pub(super) struct OnDevice<'a> {
    pub weights: &'a mut Weights,
    pub device: &'a Device,
    pub dtype: DType,
}

impl Parameters for OnDevice<'_> {
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Tensor, CheckpointError> {
        Ok(self.weights.take(name, shape)?.to_dtype(self.dtype)?.to_device(self.device)?)
    }
}

/// `name.weight` `[out, in]` and `name.bias` `[out]`.
pub(super) fn linear(
    from: &mut dyn Parameters,
    name: &str,
    inner: usize,
    out: usize,
) -> Result<Linear, CheckpointError> {
    let weight = from.take(&format!("{name}.weight"), &[out, inner])?;
    let bias = from.take(&format!("{name}.bias"), &[out])?;
    Ok(Linear::new(&weight, Some(&bias))?)
}

/// `name.weight` and `name.bias` `[width]`.
pub(super) fn layer_norm(
    from: &mut dyn Parameters,
    name: &str,
    width: usize,
    epsilon: f64,
) -> Result<LayerNorm, CheckpointError> {
    let weight = from.take(&format!("{name}.weight"), &[width])?;
    Ok(LayerNorm::new(weight, from.take(&format!("{name}.bias"), &[width])?, epsilon))
}
