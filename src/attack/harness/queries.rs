//! How often an attack asked the model.

use std::cell::Cell;
use std::sync::Arc;

use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::model::Vocabulary;
use crate::oracle::{Answer, Measure, Oracle, OracleError, Text, TextAnswer};

/// How often the model was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Queries {
    /// For the loss.
    pub loss: usize,
    /// For the loss and its gradient, to the image or to the text.
    pub gradient: usize,
    /// For logits alone.
    pub logits: usize,
}

/// Counts the answers of another oracle: a question that was cancelled will be asked again.
pub struct Counting<'a> {
    inner: &'a mut dyn Oracle,
    queries: &'a Cell<Queries>,
}

impl<'a> Counting<'a> {
    /// Counts on in `queries`.
    pub fn new(inner: &'a mut dyn Oracle, queries: &'a Cell<Queries>) -> Self {
        Self { inner, queries }
    }

    fn count(&self, more: Queries) {
        let Queries { loss, gradient, logits } = self.queries.get();
        self.queries.set(Queries {
            loss: loss + more.loss,
            gradient: gradient + more.gradient,
            logits: logits + more.logits,
        });
    }
}

impl Oracle for Counting<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        let answer = self.inner.loss_by(x, measure)?;
        self.count(Queries { loss: 1, ..Queries::default() });
        Ok(answer)
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let answer = self.inner.gradient_by(x, measure)?;
        self.count(Queries { gradient: 1, ..Queries::default() });
        Ok(answer)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        let answer = self.inner.logits(x)?;
        self.count(Queries { logits: 1, ..Queries::default() });
        Ok(answer)
    }

    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        let answer = self.inner.loss_under(text, x, measure)?;
        self.count(Queries { loss: 1, ..Queries::default() });
        Ok(answer)
    }

    fn gradient_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let answer = self.inner.gradient_under(text, x, measure)?;
        self.count(Queries { gradient: 1, ..Queries::default() });
        Ok(answer)
    }

    fn text_gradient(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<TextAnswer, OracleError> {
        let answer = self.inner.text_gradient(text, x, measure)?;
        self.count(Queries { gradient: 1, ..Queries::default() });
        Ok(answer)
    }

    fn embedding(&mut self, prompt: &str) -> Result<Tensor, OracleError> {
        self.inner.embedding(prompt)
    }

    fn vocabulary(&self) -> Result<Arc<Vocabulary>, OracleError> {
        self.inner.vocabulary()
    }
}
