//! Oracles the harness puts around the caller's: one counts, one translates the paper's space.

use candle_core::Tensor;
use serde::Serialize;

use crate::model::Preprocess;
use crate::oracle::{Answer, Oracle, OracleError};

/// How often the model was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Queries {
    /// For the loss.
    pub loss: usize,
    /// For the loss and its gradient.
    pub gradient: usize,
    /// For logits alone.
    pub logits: usize,
}

/// Counts the queries to another oracle.
pub struct Counting<'a> {
    inner: &'a mut dyn Oracle,
    /// The queries so far.
    pub queries: Queries,
}

impl<'a> Counting<'a> {
    /// Counts from zero.
    pub fn new(inner: &'a mut dyn Oracle) -> Self {
        Self { inner, queries: Queries::default() }
    }
}

impl Oracle for Counting<'_> {
    fn loss(&mut self, x: &Tensor) -> Result<(f32, Tensor), OracleError> {
        self.queries.loss += 1;
        self.inner.loss(x)
    }

    fn loss_and_gradient(&mut self, x: &Tensor) -> Result<Answer, OracleError> {
        self.queries.gradient += 1;
        self.inner.loss_and_gradient(x)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        self.queries.logits += 1;
        self.inner.logits(x)
    }
}

/// Lets an attack work on normalised values, `(x - mean) / std`, of an oracle that takes values in
/// [0, 1]. Nothing is clamped: the inner oracle sees values outside [0, 1] too.
pub struct Normalised<'a> {
    inner: &'a mut dyn Oracle,
    preprocess: &'a Preprocess,
}

impl<'a> Normalised<'a> {
    /// Translates for `inner` with the mean and standard deviation of `preprocess`.
    pub fn new(inner: &'a mut dyn Oracle, preprocess: &'a Preprocess) -> Self {
        Self { inner, preprocess }
    }
}

impl Oracle for Normalised<'_> {
    fn loss(&mut self, x: &Tensor) -> Result<(f32, Tensor), OracleError> {
        self.inner.loss(&self.preprocess.denormalise(x)?)
    }

    fn loss_and_gradient(&mut self, x: &Tensor) -> Result<Answer, OracleError> {
        let answer = self.inner.loss_and_gradient(&self.preprocess.denormalise(x)?)?;
        let std = Tensor::from_slice(&self.preprocess.std, (3, 1, 1), x.device())?;
        Ok(Answer { gradient: answer.gradient.broadcast_mul(&std)?, ..answer })
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        self.inner.logits(&self.preprocess.denormalise(x)?)
    }
}
