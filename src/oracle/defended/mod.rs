//! Defences as oracles around an oracle: the image is transformed before the model sees it.
//!
//! An attack on a [`Defended`] oracle is adaptive: it knows the defence. Where a transformation has no useful gradient,
//! it is passed straight through (backward pass differentiable approximation, BPDA, with the identity); where it is
//! random, the gradient is a mean over draws (expectation over transformations, EOT). Athalye, Carlini and Wagner,
//! *Obfuscated Gradients Give a False Sense of Security*, 2018, arXiv 1802.00420: most transformations that were
//! published as defences fall to exactly this, so a score under an attack that does not know the defence says nothing.

mod bit_depth;
mod defence;
mod gaussian;
mod jpeg;
mod median;
mod planes;
mod random_resize;
mod resize;
mod smoothing;
#[cfg(test)]
mod tests;
mod total_variation;

use candle_core::Tensor;
use sha2::{Digest, Sha256};

pub use bit_depth::BitDepth;
pub use defence::{Defence, DefenceError};
pub use gaussian::Gaussian;
pub use jpeg::Jpeg;
pub use median::Median;
pub use random_resize::RandomResize;
pub use resize::Rescale;
pub use smoothing::Smoothing;
pub use total_variation::TotalVariation;

use super::{Answer, Measure, Oracle, OracleError};
use crate::drawing::Draws;
use crate::model::Preprocess;

/// What a defence does to an image, and what of it a gradient sees.
pub trait Transformation {
    /// Checks the parameters by themselves.
    ///
    /// # Errors
    /// The rule that was broken.
    fn check(&self) -> Result<(), DefenceError>;

    /// What the model sees of an image `[3, h, w]` in [0, 1]: the same shape.
    ///
    /// # Errors
    /// A tensor of another shape.
    fn apply(&self, x: &Tensor, draws: &mut Draws) -> candle_core::Result<Tensor>;

    /// The gradient for `x` from that for what the model saw, under the same draws.
    ///
    /// # Errors
    /// A tensor of another shape.
    fn pull_back(&self, gradient: &Tensor, _draws: &mut Draws) -> candle_core::Result<Tensor> {
        Ok(gradient.clone())
    }

    /// Whether [`Self::pull_back`] is the exact transpose, rather than the identity in the place of a derivative that
    /// is zero or absent.
    fn is_exact(&self) -> bool;

    /// How many draws an answer is the mean of; 1 without random numbers.
    fn samples(&self) -> usize {
        1
    }
}

/// Another oracle behind a defence. Its loss is the mean loss over the defence's draws, its logits are the mean logits.
///
/// The random numbers follow from seed and point alone, so an attack that goes on elsewhere gets the same answers;
/// losses and gradients have numbers of their own, so that an attack is never judged by the draws it was fitted to.
pub struct Defended<'a> {
    inner: &'a mut dyn Oracle,
    defence: &'a dyn Transformation,
    seed: u64,
    /// If points are normalised, how.
    normalised: Option<Preprocess>,
}

impl<'a> Defended<'a> {
    /// `inner` behind `defence`. `normalised` if the points are the network's input, rather than images in [0, 1].
    pub fn new(
        inner: &'a mut dyn Oracle,
        defence: &'a dyn Transformation,
        seed: u64,
        normalised: Option<Preprocess>,
    ) -> Self {
        Self { inner, defence, seed, normalised }
    }

    /// The keys of the draws at `x`.
    fn keys(&self, x: &Tensor, purpose: &str) -> Result<Vec<[u8; 32]>, OracleError> {
        let samples = self.defence.samples();
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(purpose.as_bytes());
        if samples > 1 {
            for value in x.flatten_all()?.to_vec1::<f32>()? {
                hash.update(value.to_le_bytes());
            }
        }
        let key = |sample: usize| {
            let mut hash = hash.clone();
            hash.update((sample as u64).to_le_bytes());
            hash.finalize().into()
        };
        Ok((0..samples).map(key).collect())
    }

    fn defend(&self, x: &Tensor, key: [u8; 32]) -> Result<Tensor, OracleError> {
        let draws = &mut Draws::from_key(key);
        Ok(match &self.normalised {
            None => self.defence.apply(x, draws)?,
            Some(preprocess) => preprocess.normalise(&self.defence.apply(&preprocess.denormalise(x)?, draws)?)?,
        })
    }

    /// Mean loss and mean logits over the draws.
    fn mean(
        &mut self,
        x: &Tensor,
        mut ask: impl FnMut(&mut dyn Oracle, &Tensor) -> Result<(f32, Tensor), OracleError>,
    ) -> Result<(f32, Tensor), OracleError> {
        let mut mean = Mean::default();
        for key in self.keys(x, "loss")? {
            let seen = self.defend(x, key)?;
            let (loss, logits) = ask(self.inner, &seen)?;
            mean.add(loss, logits)?;
        }
        mean.finish()
    }
}

/// A mean over draws.
#[derive(Default)]
struct Mean {
    count: usize,
    loss: f64,
    logits: Option<Tensor>,
}

impl Mean {
    fn add(&mut self, loss: f32, logits: Tensor) -> Result<(), OracleError> {
        self.count += 1;
        self.loss += f64::from(loss);
        self.logits = Some(sum(self.logits.take(), logits)?);
        Ok(())
    }

    fn finish(self) -> Result<(f32, Tensor), OracleError> {
        let logits = self.logits.ok_or_else(|| OracleError::Model("a defence without a draw".into()))?;
        Ok(((self.loss / self.count as f64) as f32, over(logits, self.count)?))
    }
}

fn sum(so_far: Option<Tensor>, more: Tensor) -> candle_core::Result<Tensor> {
    so_far.map_or(Ok(more.clone()), |so_far| so_far + more)
}

/// Of one draw, the very numbers of the draw.
fn over(sum: Tensor, count: usize) -> candle_core::Result<Tensor> {
    if count == 1 { Ok(sum) } else { sum / count as f64 }
}

impl Oracle for Defended<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.mean(x, |inner, x| inner.loss_by(x, measure))
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let (mut mean, mut gradients) = (Mean::default(), None);
        for key in self.keys(x, "gradient")? {
            let seen = self.defend(x, key)?;
            let answer = self.inner.gradient_by(&seen, measure)?;
            // Normalising before and after scales by a factor and its reciprocal: no trace of it is left here.
            let gradient = self.defence.pull_back(&answer.gradient, &mut Draws::from_key(key))?;
            gradients = Some(sum(gradients.take(), gradient)?);
            mean.add(answer.loss, answer.logits)?;
        }
        let count = mean.count;
        let gradient = gradients.ok_or_else(|| OracleError::Gradient("missing".into()))?;
        let (loss, logits) = mean.finish()?;
        Ok(Answer { loss, gradient: over(gradient, count)?, logits })
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        let mut logits = None;
        let keys = self.keys(x, "loss")?;
        let count = keys.len();
        for key in keys {
            let seen = self.defend(x, key)?;
            logits = Some(sum(logits.take(), self.inner.logits(&seen)?)?);
        }
        Ok(over(logits.ok_or_else(|| OracleError::Model("a defence without a draw".into()))?, count)?)
    }

    fn loss_under(&mut self, prompt: &str, x: &Tensor) -> Result<(f32, Tensor), OracleError> {
        self.mean(x, |inner, x| inner.loss_under(prompt, x))
    }
}
