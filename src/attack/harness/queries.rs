//! How often an attack asked the model.

use candle_core::Tensor;
use serde::Serialize;
use utoipa::ToSchema;

use crate::oracle::{Answer, Oracle, OracleError};

/// How often the model was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
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
