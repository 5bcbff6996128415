//! An oracle around the toy model that stops after some questions, or tells lies about the objective.

use candle_core::Tensor;

use super::toy::{Fault, Toy};
use crate::attack::Problem;
use crate::oracle::{Answer, Measure, Oracle, OracleError, Text};

/// Counts every question.
pub struct Guard<'a> {
    pub toy: Toy<'a>,
    /// Which question, from 1, is cancelled.
    pub cancels: Option<usize>,
    /// What is told instead of the objective.
    pub lie: fn(f32) -> f32,
    pub asked: usize,
}

impl<'a> Guard<'a> {
    pub fn new(problem: &'a Problem) -> Self {
        Self { toy: Toy::new(problem, Fault::None), cancels: None, lie: |loss| loss, asked: 0 }
    }

    fn ask(&mut self) -> Result<(), OracleError> {
        self.asked += 1;
        if self.cancels == Some(self.asked) { Err(OracleError::Cancelled) } else { Ok(()) }
    }
}

impl Oracle for Guard<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.ask()?;
        let (loss, logits) = self.toy.loss_by(x, measure)?;
        Ok(((self.lie)(loss), logits))
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.ask()?;
        self.toy.gradient_by(x, measure)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        self.ask()?;
        self.toy.logits(x)
    }

    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.ask()?;
        self.toy.loss_under(text, x, measure)
    }

    fn gradient_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.ask()?;
        self.toy.gradient_under(text, x, measure)
    }
}
