//! What an attack may ask about one image: a loss, its gradient, logits.
//!
//! An attack is written against [`Oracle`] and never sees the model, the device or the other
//! attacks that share a batch with it. An oracle is bound to one prompt and one objective; a
//! defence, a remote model or a query counter is another oracle around the first. A question may
//! come with a [`Measure`]: which loss it is about, and how far the attack is.

pub mod defended;
pub mod text;

use std::sync::Arc;

use candle_core::Tensor;

pub use text::{Text, TextAnswer};

use crate::loss::{Counted, Loss, Progress};
use crate::model::Vocabulary;

/// How the answer to a question is measured. What is left at its default is as in the oracle's objective.
#[derive(Debug, Clone, Default)]
pub struct Measure {
    /// The loss; that of the objective if `None`.
    pub loss: Option<Loss>,
    /// How far the attack is, for a loss that changes on the way.
    pub progress: Progress,
    /// The mask to compare with, 0 or 1, `[h, w]` at the network's own output size; that of the objective if `None`.
    /// For a question about an image that was moved: its mask has to move along.
    pub target: Option<Tensor>,
    /// The pixels that count, of the network's output; those of the objective if `None`.
    pub counted: Option<Counted>,
    /// Weights of the logits, `[h, w]` at the network's own output size: their weighted sum, as it is, takes the place
    /// of the objective. For a method that has a loss of its own and has seen the logits.
    pub weights: Option<Tensor>,
}

impl Measure {
    /// The objective when `done` of `steps` steps are done.
    pub fn after(done: usize, steps: usize) -> Self {
        Self { progress: Progress::after(done, steps), ..Self::default() }
    }
}

/// The answer to a white-box query at a point `x` `[3, height, width]`.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The objective at `x`; attacks raise it.
    pub loss: f32,
    /// Its gradient with respect to `x`, in the shape of `x`.
    pub gradient: Tensor,
    /// The logits at `x`, `[h, w]` at the network's own output size.
    pub logits: Tensor,
}

/// Why a query was not answered.
#[derive(Debug, thiserror::Error)]
pub enum OracleError {
    /// The caller asked for the attack to stop.
    #[error("cancelled")]
    Cancelled,
    /// No gradient reached the image or the text, or it is not finite.
    #[error("the gradient is {0}: the attack would be meaningless")]
    Gradient(String),
    /// The model cannot use a prompt.
    #[error("{0}")]
    Prompt(String),
    /// The engine has as many rows as it may hold.
    #[error("the engine is full ({rows} rows): try again later")]
    Full { rows: usize },
    /// The model or its device failed.
    #[error("{0}")]
    Model(String),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// The refusal of an oracle that does not know the text.
fn one_prompt_only<T>() -> Result<T, OracleError> {
    Err(OracleError::Prompt("this model answers under one prompt only".into()))
}

/// Answers queries about one image under one prompt and one objective.
///
/// Whoever wraps another oracle passes the measure on.
pub trait Oracle {
    /// The objective and the logits at `x`.
    ///
    /// # Errors
    /// See [`OracleError`].
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError>;

    /// The objective, its gradient and the logits at `x`.
    ///
    /// # Errors
    /// [`OracleError::Gradient`] rather than a silent zero when the gradient is missing.
    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError>;

    /// The logits at `x`, `[h, w]`.
    ///
    /// # Errors
    /// See [`OracleError`].
    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError>;

    /// As [`Self::loss_by`], under another text.
    ///
    /// # Errors
    /// [`OracleError::Prompt`] if the model cannot use it, or the oracle answers under one prompt only.
    fn loss_under(&mut self, _text: &Text, _x: &Tensor, _measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        one_prompt_only()
    }

    /// As [`Self::gradient_by`], under another text: the gradient is still that to the image.
    ///
    /// # Errors
    /// As [`Self::loss_under`] and [`Self::gradient_by`].
    fn gradient_under(&mut self, _text: &Text, _x: &Tensor, _measure: &Measure) -> Result<Answer, OracleError> {
        one_prompt_only()
    }

    /// The objective under a text, its gradient to the text, and the logits.
    ///
    /// # Errors
    /// As [`Self::loss_under`]; [`OracleError::Gradient`] rather than a silent zero when the gradient is missing.
    fn text_gradient(&mut self, _text: &Text, _x: &Tensor, _measure: &Measure) -> Result<TextAnswer, OracleError> {
        one_prompt_only()
    }

    /// What the text encoder makes of a prompt, `[features]`.
    ///
    /// # Errors
    /// As [`Self::loss_under`].
    fn embedding(&mut self, _prompt: &str) -> Result<Tensor, OracleError> {
        one_prompt_only()
    }

    /// How the model reads texts.
    ///
    /// # Errors
    /// [`OracleError::Prompt`] if it does not read them as tokens.
    fn vocabulary(&self) -> Result<Arc<Vocabulary>, OracleError> {
        one_prompt_only()
    }

    /// [`Self::loss_by`] the objective itself.
    ///
    /// # Errors
    /// See [`OracleError`].
    fn loss(&mut self, x: &Tensor) -> Result<(f32, Tensor), OracleError> {
        self.loss_by(x, &Measure::default())
    }

    /// [`Self::gradient_by`] the objective itself.
    ///
    /// # Errors
    /// See [`Self::gradient_by`].
    fn loss_and_gradient(&mut self, x: &Tensor) -> Result<Answer, OracleError> {
        self.gradient_by(x, &Measure::default())
    }
}
