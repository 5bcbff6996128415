//! Image by image: where one is not broken yet, a few steps for it on top of what is there.

use candle_core::Tensor;
use serde::Serialize;

use super::example::{Example, at_once};
use super::pass::{Pass, Tally};
use super::{Within, refused};
use crate::attack::{AttackError, Epsilon};
use crate::oracle::Measure;

/// A step as a share of epsilon: the smallest change that breaks an image is wanted, so steps are short.
const DEFAULT_SHARE: f64 = 0.1;

/// For each image that `x + v` does not break: up to `steps` times `v <- P(v + alpha sign g)`, `g` the gradient of this
/// image alone, until it is broken. Passes go on until `enough` of the images are broken at once.
///
/// Moosavi-Dezfooli et al. 2017, arXiv 1610.08401, algorithm 1. Their "fooled" is a changed class, which a mask does not
/// have: here it is the criterion of success. Their smallest step over the border (DeepFool) needs classes too: here it
/// is a few short steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Moosavi {
    /// Passes over the images, at most.
    pub epochs: usize,
    /// Steps for one image, at most.
    pub steps: usize,
    /// Length of a step; a tenth of epsilon if `None`.
    pub alpha: Option<Epsilon>,
    /// The share of broken images at which the training ends.
    pub enough: f64,
}

impl Default for Moosavi {
    fn default() -> Self {
        Self { epochs: 10, steps: 5, alpha: None, enough: 0.95 }
    }
}

impl Moosavi {
    pub(super) fn train(
        &self,
        examples: &mut [Example],
        within: &Within,
        done: &mut dyn FnMut(&Pass),
    ) -> Result<Tensor, AttackError> {
        self.check()?;
        let alpha = within.length(self.alpha, DEFAULT_SHARE);
        let all: Vec<usize> = (0..examples.len()).collect();
        let mut v = within.zero().clone();
        for pass in 0..self.epochs {
            for at in within.order(pass, examples.len()) {
                for step in 0..self.steps {
                    let slope = examples[at].slope(&v, &Measure::after(step, self.steps))?;
                    if slope.broken {
                        break;
                    }
                    v = within.advance(&v, &slope.gradient, alpha)?;
                }
            }
            let mut tally = Tally::default();
            let answers = at_once(examples, &all, |example| example.look(&v))?;
            answers.into_iter().for_each(|(loss, dsc, broken)| tally.add(loss, dsc, broken));
            let pass = tally.pass(pass + 1);
            done(&pass);
            if pass.broken >= self.enough {
                break;
            }
        }
        Ok(v)
    }

    fn check(&self) -> Result<(), AttackError> {
        if self.epochs == 0 {
            return Err(refused("epochs", 0, "go through the images at least once"));
        }
        if self.steps == 0 {
            return Err(refused("steps", 0, "take at least one step"));
        }
        if !(self.enough > 0. && self.enough <= 1.) {
            return Err(refused("enough", self.enough, "use more than 0 and at most 1"));
        }
        Ok(())
    }
}
