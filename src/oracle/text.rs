//! Questions about the text: what stands in its place, and the gradient to it.

use candle_core::Tensor;

use super::{Answer, Measure, Oracle, OracleError};

/// What an oracle reads in the place of its own prompt.
#[derive(Debug, Clone)]
pub enum Text {
    /// Another prompt.
    Prompt(String),
    /// A vector in the place of what the text encoder makes of a prompt, `[features]`.
    Embedding(Tensor),
}

impl Text {
    /// The prompt, if it is one.
    pub fn prompt(&self) -> Option<&str> {
        match self {
            Self::Prompt(prompt) => Some(prompt),
            Self::Embedding(_) => None,
        }
    }
}

/// The answer to a white-box query about a text.
#[derive(Debug, Clone)]
pub struct TextAnswer {
    /// The objective; attacks raise it.
    pub loss: f32,
    /// Its gradient: with respect to the embeddings of the prompt's tokens, start and end included, `[tokens, width]`; or
    /// with respect to the vector, `[features]`.
    pub gradient: Tensor,
    /// The logits, `[h, w]` at the network's own output size.
    pub logits: Tensor,
}

/// [`Oracle::loss_by`] under `text`, or under the oracle's own prompt.
///
/// # Errors
/// As [`Oracle::loss_under`].
pub fn loss(
    oracle: &mut dyn Oracle,
    text: Option<&Text>,
    x: &Tensor,
    measure: &Measure,
) -> Result<(f32, Tensor), OracleError> {
    match text {
        None => oracle.loss_by(x, measure),
        Some(text) => oracle.loss_under(text, x, measure),
    }
}

/// [`Oracle::gradient_by`] under `text`, or under the oracle's own prompt.
///
/// # Errors
/// As [`Oracle::gradient_under`].
pub fn gradient(
    oracle: &mut dyn Oracle,
    text: Option<&Text>,
    x: &Tensor,
    measure: &Measure,
) -> Result<Answer, OracleError> {
    match text {
        None => oracle.gradient_by(x, measure),
        Some(text) => oracle.gradient_under(text, x, measure),
    }
}
