//! Defences as oracles around an oracle: the image is transformed before the model sees it, or the model is asked under
//! several prompts.
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
mod mean;
mod median;
mod planes;
mod prompt_ensemble;
mod random_resize;
mod resize;
mod smoothing;
#[cfg(test)]
mod tests;
mod total_variation;

use std::sync::Arc;

use candle_core::Tensor;
use sha2::{Digest, Sha256};

pub use bit_depth::BitDepth;
pub use defence::{Defence, DefenceError};
pub use gaussian::Gaussian;
pub use jpeg::Jpeg;
pub use median::Median;
pub use prompt_ensemble::PromptEnsemble;
pub use random_resize::RandomResize;
pub use resize::Rescale;
pub use smoothing::Smoothing;
pub use total_variation::TotalVariation;

use mean::{Mean, over, sum};

use super::{Answer, Measure, Oracle, OracleError, Text, TextAnswer, text};
use crate::drawing::Draws;
use crate::model::{Preprocess, Vocabulary};

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

    /// The target `[h, w]` for what the model sees of an image of the size `frame`, under the same draws; `None` where
    /// everything stays in its place.
    ///
    /// # Errors
    /// A tensor of another shape.
    fn moved(
        &self,
        _target: &Tensor,
        _frame: (usize, usize),
        _draws: &mut Draws,
    ) -> candle_core::Result<Option<Tensor>> {
        Ok(None)
    }

    /// The logits `[h, w]` for the image from those for what the model saw, under the same draws.
    ///
    /// # Errors
    /// A tensor of another shape.
    fn moved_back(&self, logits: Tensor, _frame: (usize, usize), _draws: &mut Draws) -> candle_core::Result<Tensor> {
        Ok(logits)
    }

    /// The prompts under which the model is asked beside `prompt` itself; an answer is the mean over all of them.
    fn companions(&self, _prompt: &str) -> Vec<String> {
        vec![]
    }
}

/// Another oracle behind a defence. Its loss is the mean loss over the defence's draws and prompts, its logits are the
/// mean logits.
///
/// The random numbers follow from seed and point alone, so an attack that goes on elsewhere gets the same answers;
/// losses and gradients have numbers of their own, so that an attack is never judged by the draws it was fitted to.
pub struct Defended<'a> {
    inner: &'a mut dyn Oracle,
    defence: &'a dyn Transformation,
    seed: u64,
    /// What `inner` reads unless it is told otherwise.
    prompt: String,
    /// What `inner` compares with unless it is told otherwise.
    target: Option<Tensor>,
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
        Self { inner, defence, seed, prompt: String::new(), target: None, normalised }
    }

    /// The target of `inner`'s objective `[h, w]`, for a defence that moves the image: the target moves along.
    pub fn against(self, target: Tensor) -> Self {
        Self { target: Some(target), ..self }
    }

    /// The prompt of `inner`, for a defence that asks under others too.
    pub fn reading(self, prompt: &str) -> Self {
        Self { prompt: prompt.into(), ..self }
    }

    /// What the model is asked under when it is asked under `text`: that first, and then its companions.
    fn texts(&self, text: Option<&Text>) -> Vec<Option<Text>> {
        let prompt = text.and_then(Text::prompt).unwrap_or(&self.prompt);
        let companions = self.defence.companions(prompt).into_iter().map(|other| Some(Text::Prompt(other)));
        std::iter::once(text.cloned()).chain(companions).collect()
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

    /// How the answer to what the model sees of `x` is measured.
    fn measured(&self, x: &Tensor, measure: &Measure, key: [u8; 32]) -> Result<Measure, OracleError> {
        let Some(target) = measure.target.as_ref().or(self.target.as_ref()) else { return Ok(measure.clone()) };
        Ok(match self.defence.moved(target, frame(x)?, &mut Draws::from_key(key))? {
            Some(target) => Measure { target: Some(target), ..measure.clone() },
            None => measure.clone(),
        })
    }

    /// The logits of `x` itself.
    fn moved_back(&self, x: &Tensor, logits: Tensor, key: [u8; 32]) -> Result<Tensor, OracleError> {
        Ok(self.defence.moved_back(logits, frame(x)?, &mut Draws::from_key(key))?)
    }

    /// Mean loss and mean logits over draws and prompts.
    fn mean(
        &mut self,
        (text, measure): (Option<&Text>, &Measure),
        x: &Tensor,
        mut ask: impl FnMut(&mut dyn Oracle, Option<&Text>, &Tensor, &Measure) -> Result<(f32, Tensor), OracleError>,
    ) -> Result<(f32, Tensor), OracleError> {
        let (mut mean, texts) = (Mean::default(), self.texts(text));
        for key in self.keys(x, "loss")? {
            let (seen, measure) = (self.defend(x, key)?, self.measured(x, measure, key)?);
            for text in &texts {
                let (loss, logits) = ask(self.inner, text.as_ref(), &seen, &measure)?;
                mean.add(loss, self.moved_back(x, logits, key)?)?;
            }
        }
        mean.finish()
    }
}

/// Height and width of `[3, h, w]`.
fn frame(x: &Tensor) -> candle_core::Result<(usize, usize)> {
    let (_, height, width) = x.dims3()?;
    Ok((height, width))
}

impl Defended<'_> {
    fn loss_with(&mut self, text: Option<&Text>, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.mean((text, measure), x, text::loss)
    }

    fn gradient_with(&mut self, text: Option<&Text>, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        let (mut mean, mut gradients, texts) = (Mean::default(), None, self.texts(text));
        for key in self.keys(x, "gradient")? {
            let (seen, measure) = (self.defend(x, key)?, self.measured(x, measure, key)?);
            for text in &texts {
                let answer = text::gradient(self.inner, text.as_ref(), &seen, &measure)?;
                // Normalising before and after scales by a factor and its reciprocal: no trace of it is left here.
                let gradient = self.defence.pull_back(&answer.gradient, &mut Draws::from_key(key))?;
                gradients = Some(sum(gradients.take(), gradient)?);
                mean.add(answer.loss, self.moved_back(x, answer.logits, key)?)?;
            }
        }
        let count = mean.count;
        let gradient = gradients.ok_or_else(|| OracleError::Gradient("missing".into()))?;
        let (loss, logits) = mean.finish()?;
        Ok(Answer { loss, gradient: over(gradient, count)?, logits })
    }
}

impl Oracle for Defended<'_> {
    fn loss_by(&mut self, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.loss_with(None, x, measure)
    }

    fn gradient_by(&mut self, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.gradient_with(None, x, measure)
    }

    fn logits(&mut self, x: &Tensor) -> Result<Tensor, OracleError> {
        let ask = |inner: &mut dyn Oracle, text: Option<&Text>, x: &Tensor, measure: &Measure| match text {
            None => Ok((0., inner.logits(x)?)),
            Some(_) => text::loss(inner, text, x, measure),
        };
        Ok(self.mean((None, &Measure::default()), x, ask)?.1)
    }

    fn loss_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<(f32, Tensor), OracleError> {
        self.loss_with(Some(text), x, measure)
    }

    fn gradient_under(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<Answer, OracleError> {
        self.gradient_with(Some(text), x, measure)
    }

    fn text_gradient(&mut self, text: &Text, x: &Tensor, measure: &Measure) -> Result<TextAnswer, OracleError> {
        let (mut mean, mut gradients, texts) = (Mean::default(), None, self.texts(Some(text)));
        for key in self.keys(x, "gradient")? {
            let (seen, measure) = (self.defend(x, key)?, self.measured(x, measure, key)?);
            let answer = self.inner.text_gradient(text, &seen, &measure)?;
            gradients = Some(sum(gradients.take(), answer.gradient)?);
            mean.add(answer.loss, self.moved_back(x, answer.logits, key)?)?;
            // Companions count as constants: what they have in common with the text has other tokens there.
            for companion in &texts[1..] {
                let (loss, logits) = text::loss(self.inner, companion.as_ref(), &seen, &measure)?;
                mean.add(loss, self.moved_back(x, logits, key)?)?;
            }
        }
        let count = mean.count;
        let gradient = gradients.ok_or_else(|| OracleError::Gradient("missing".into()))?;
        let (loss, logits) = mean.finish()?;
        Ok(TextAnswer { loss, gradient: over(gradient, count)?, logits })
    }

    fn embedding(&mut self, prompt: &str) -> Result<Tensor, OracleError> {
        self.inner.embedding(prompt)
    }

    fn vocabulary(&self) -> Result<Arc<Vocabulary>, OracleError> {
        self.inner.vocabulary()
    }
}
