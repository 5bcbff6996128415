//! One call of the model for a gradient to a text.
//!
//! Such questions are few beside those about images, and the texts of two rows differ in length: they are answered one
//! by one, between two batches.

use std::sync::mpsc::SyncSender;

use candle_core::Tensor;

use super::CancelToken;
use super::batch::{Against, Reply, gradient};
use crate::model::{ModelError, SegmentationModel, TextInput};
use crate::oracle::OracleError;

/// A row's question about a text.
pub(super) struct TextQuery {
    /// `[3, size, size]`, resized and normalised, on the model's device.
    pub(super) pixel_values: Tensor,
    pub(super) text: TextInput,
    /// What the logits are measured by.
    pub(super) gradient_of: Against,
    pub(super) cancel: CancelToken,
    pub(super) reply: SyncSender<Result<Reply, OracleError>>,
}

impl TextQuery {
    pub(super) fn answer(self, answer: Result<Reply, OracleError>) {
        // A row that is gone needs no answer.
        let _ = self.reply.send(answer);
    }
}

/// The logits, and the loss with its gradient to the text.
///
/// # Errors
/// A gradient that is missing or not finite, and what the model fails with.
pub(super) fn run(model: &dyn SegmentationModel, query: &TextQuery) -> Result<Reply, ModelError> {
    let mut value = None;
    let pixel_values = query.pixel_values.unsqueeze(0)?;
    let (logits, to_text) = model.logits_and_text_vjp(&pixel_values, &query.text, &mut |logits| {
        let (loss, slope) = gradient(logits, &[&query.gradient_of])?;
        value = Some(loss.to_vec1::<f32>()?);
        Ok(slope)
    })?;
    match value.as_deref() {
        Some([loss]) if loss.is_finite() => {
            let logits = logits.detach().get(0)?.force_contiguous()?;
            Ok(Reply { logits, gradient: Some((*loss, to_text)) })
        }
        Some(_) => Err(ModelError::Gradient("not finite")),
        None => Err(ModelError::Gradient("missing")),
    }
}
