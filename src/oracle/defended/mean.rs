//! Means of answers.

use candle_core::Tensor;

use crate::oracle::OracleError;

/// A mean over draws and prompts.
#[derive(Default)]
pub(super) struct Mean {
    pub(super) count: usize,
    loss: f64,
    logits: Option<Tensor>,
}

impl Mean {
    pub(super) fn add(&mut self, loss: f32, logits: Tensor) -> Result<(), OracleError> {
        self.count += 1;
        self.loss += f64::from(loss);
        self.logits = Some(sum(self.logits.take(), logits)?);
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(f32, Tensor), OracleError> {
        let logits = self.logits.ok_or_else(|| OracleError::Model("a defence without a draw".into()))?;
        Ok(((self.loss / self.count as f64) as f32, over(logits, self.count)?))
    }
}

pub(super) fn sum(so_far: Option<Tensor>, more: Tensor) -> candle_core::Result<Tensor> {
    so_far.map_or(Ok(more.clone()), |so_far| so_far + more)
}

/// Of one draw, the very numbers of the draw.
pub(super) fn over(sum: Tensor, count: usize) -> candle_core::Result<Tensor> {
    if count == 1 { Ok(sum) } else { sum / count as f64 }
}
