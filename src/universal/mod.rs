//! One perturbation for many images: training it, and finding out whether it is one.
//!
//! A universal perturbation `v` is trained on some images ([`train`]) and judged on others ([`measure()`]), which it has
//! never seen ([`Split`]). A model that falls to `v` may just be falling to noise, so the same images also meet noise
//! of the same size and `v` itself with its structure destroyed ([`controls`]); only what `v` does beyond all of
//! these speaks for a universal perturbation ([`Figures`]).
//!
//! Training works at the network's size, and sees `v` as the network will see it after it was enlarged to an image and
//! shrunk again with it (`example.rs`).

pub mod controls;
mod example;
mod figures;
mod measure;
mod moosavi;
mod pass;
mod sgd_uap;
mod split;
mod table;
#[cfg(test)]
mod tests;
mod within;

use serde::Serialize;

use crate::attack::{AttackError, Budget, Criterion, Epsilon, Norm, Unit};
use crate::engine::Engine;
use crate::evaluation::{Case, RunError};
use crate::loss::Loss;

pub use example::Example;
pub use figures::{Beside, Change, Figures, SetFigures};
pub use measure::{Ends, Measured, measure};
pub use moosavi::Moosavi;
pub use pass::Pass;
pub use sgd_uap::SgdUap;
pub use split::Split;
pub use table::markdown;
pub use within::Within;

/// How a perturbation is trained.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Method {
    /// Minibatches: [`SgdUap`].
    SgdUap(SgdUap),
    /// Image by image: [`Moosavi`].
    Moosavi(Moosavi),
}

/// Everything that decides a training, besides the model and the images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// How.
    #[serde(flatten)]
    pub method: Method,
    /// The budget, L-inf.
    pub epsilon: Epsilon,
    /// The loss to raise.
    pub loss: Loss,
    /// When an image counts as broken.
    pub criterion: Criterion,
    /// Seed of the order of images.
    pub seed: u64,
}

impl Method {
    /// The name used on the command line and in artefacts.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SgdUap(_) => "sgd_uap",
            Self::Moosavi(_) => "moosavi",
        }
    }

    /// Trains on examples; `done` is told about every pass.
    ///
    /// # Errors
    /// Parameters that make no sense, no example at all; those of the oracles.
    pub fn train(
        &self,
        examples: &mut [Example],
        within: &Within,
        done: &mut dyn FnMut(&Pass),
    ) -> Result<candle_core::Tensor, AttackError> {
        if examples.is_empty() {
            return Err(refused("images", 0, "give at least one image to train on"));
        }
        match self {
            Self::SgdUap(sgd) => sgd.train(examples, within, done),
            Self::Moosavi(moosavi) => moosavi.train(examples, within, done),
        }
    }
}

/// Trains a perturbation `[3, h, w]` of the network's size, in fractions of full scale, on the images of `cases`.
/// Equal images in equal order, an equal plan and an equal model give an equal perturbation.
///
/// # Errors
/// An image that cannot be used, a failing model, parameters that make no sense.
pub fn train(
    engine: &Engine,
    cases: &[Case],
    plan: &Plan,
    done: &mut dyn FnMut(&Pass),
) -> Result<candle_core::Tensor, RunError> {
    let input = engine.input();
    let within = Within::new((input.height, input.width), plan.budget()?, plan.seed, engine.device())?;
    let problems = cases.iter().map(|case| example::read(engine, case, plan)).collect::<Result<Vec<_>, _>>()?;
    let mut examples = problems.iter().map(|read| read.open(engine)).collect::<Result<Vec<_>, RunError>>()?;
    Ok(plan.method.train(&mut examples, &within, done)?)
}

impl Plan {
    /// The budget in fractions of full scale.
    ///
    /// # Errors
    /// An epsilon in `normalised` units, or beyond full scale.
    pub fn budget(&self) -> Result<Budget, AttackError> {
        if self.epsilon.unit() == Unit::Normalised {
            return Err(refused("epsilon", "normalised", "give it in pixel255 or unit01: the file has to name pixels"));
        }
        let budget = Budget { norm: Norm::Linf, epsilon: self.epsilon };
        budget.check(1, &[1.; 3])?;
        Ok(budget)
    }
}

/// The loss that is raised unless another one is asked for. It counts the pixels that are still right and no others, so
/// images that are broken already do not drown those that are not: with the cross-entropy of all pixels they do.
pub const DEFAULT_LOSS: Loss = Loss::BalancedMaskedCe;

fn refused(name: &'static str, value: impl ToString, rule: &'static str) -> AttackError {
    AttackError::Parameter { name, value: value.to_string(), rule }
}
