//! One image to train on, at the network's size.
//!
//! Applied to a file, `v` is enlarged to the image, and the image with it is shrunk to the network's input: fine
//! detail of `v` is blurred on that way. Resizing is linear, so but for clipping the network sees
//! `shrink(image) + shrink(enlarge(v))`, and that is what training works with: images are kept small, and a
//! perturbation that lives on detail no file could carry is never found.

use std::thread;

use candle_core::{Device, Tensor};

use super::Plan;
use crate::attack::{AttackError, Evaluation, Problem, Protocol, Setup};
use crate::engine::{CancelToken, Engine, RowSpec, Space};
use crate::evaluation::{Case, RunError, objective};
use crate::model::{Resize, resize_image};
use crate::oracle::{Measure, Oracle, OracleError};

/// An image and the model's answers to it.
pub struct Example<'a> {
    problem: &'a Problem,
    oracle: Box<dyn Oracle + Send + 'a>,
    seen: &'a Seen,
    clean: Evaluation,
}

/// What a perturbation does to one image.
pub struct Slope {
    /// The objective.
    pub loss: f32,
    /// Its gradient with respect to the perturbation.
    pub gradient: Tensor,
    /// DSC against the reference.
    pub dsc: f64,
    /// Whether the image is broken.
    pub broken: bool,
}

/// How the network sees a perturbation that was applied to an image of some size.
#[derive(Debug, Clone)]
pub struct Seen(Option<(Resize, Resize)>);

impl Seen {
    /// For an image of the size `image` and a network of the size `network`, (height, width) each.
    ///
    /// # Errors
    /// A device that failed.
    pub fn new(network: (usize, usize), image: (usize, usize), device: &Device) -> candle_core::Result<Self> {
        if network == image {
            return Ok(Self(None));
        }
        Ok(Self(Some((Resize::new(network, image, device)?, Resize::new(image, network, device)?))))
    }

    fn forward(&self, v: &Tensor) -> candle_core::Result<Tensor> {
        match &self.0 {
            None => Ok(v.clone()),
            Some((enlarge, shrink)) => shrink.forward(&enlarge.forward(v)?),
        }
    }

    fn pull_back(&self, gradient: &Tensor) -> candle_core::Result<Tensor> {
        match &self.0 {
            None => Ok(gradient.clone()),
            Some((enlarge, shrink)) => enlarge.pull_back(&shrink.pull_back(gradient)?),
        }
    }
}

impl<'a> Example<'a> {
    /// An image; asks once about the clean one.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn new(
        problem: &'a Problem,
        mut oracle: Box<dyn Oracle + Send + 'a>,
        seen: &'a Seen,
    ) -> Result<Self, AttackError> {
        let clean = problem.evaluate(&problem.setup().image, oracle.as_mut())?;
        Ok(Self { problem, oracle, seen, clean })
    }

    /// The objective, its gradient and the score with the perturbation `v`. Where a value is clipped at black or white,
    /// the gradient passes straight through.
    ///
    /// # Errors
    /// Those of the oracle, and a gradient that is not finite.
    pub fn slope(&mut self, v: &Tensor, measure: &Measure) -> Result<Slope, AttackError> {
        let x = self.point(v)?;
        let answer = self.oracle.gradient_by(&x, measure)?;
        let gradient = self.seen.pull_back(&answer.gradient)?;
        let size = gradient.abs()?.max_all()?.to_scalar::<f32>()?;
        if !size.is_finite() {
            return Err(OracleError::Gradient("not finite".into()).into());
        }
        let evaluation = self.problem.score(answer.loss, &answer.logits)?;
        Ok(Slope { loss: answer.loss, gradient, dsc: evaluation.dsc, broken: self.is_broken(&evaluation) })
    }

    /// Objective, DSC and whether the image is broken, without a gradient.
    ///
    /// # Errors
    /// Those of the oracle.
    pub fn look(&mut self, v: &Tensor) -> Result<(f32, f64, bool), AttackError> {
        let (loss, logits) = self.oracle.loss(&self.point(v)?)?;
        let evaluation = self.problem.score(loss, &logits)?;
        Ok((loss, evaluation.dsc, self.is_broken(&evaluation)))
    }

    /// `P(x + seen(v))`.
    fn point(&self, v: &Tensor) -> Result<Tensor, AttackError> {
        let ball = self.problem.ball();
        Ok(ball.project(&(ball.clean() + self.seen.forward(v)?)?)?)
    }

    fn is_broken(&self, evaluation: &Evaluation) -> bool {
        self.problem.criterion().judge(&self.clean, evaluation).met
    }
}

/// Asks the chosen examples, all at once, and answers in the order of the examples.
///
/// # Errors
/// The first error of any.
pub fn at_once<'a, T: Send>(
    examples: &mut [Example<'a>],
    chosen: &[usize],
    ask: impl Fn(&mut Example<'a>) -> Result<T, AttackError> + Sync,
) -> Result<Vec<T>, AttackError> {
    let ask = &ask;
    thread::scope(|scope| {
        let chosen = examples.iter_mut().enumerate().filter(|(at, _)| chosen.contains(at));
        let asked: Vec<_> = chosen.map(|(_, example)| scope.spawn(move || ask(example))).collect();
        asked.into_iter().map(|answer| answer.join().expect("an example returns its errors")).collect()
    })
}

/// A problem with what its example needs besides.
pub(super) struct Read {
    problem: Problem,
    seen: Seen,
}

/// Reads an image and its mask, and shrinks both to the network's size.
pub(super) fn read(engine: &Engine, case: &Case, plan: &Plan) -> Result<Read, RunError> {
    let (decoded, mask) = case.read()?;
    let image = decoded.image;
    mask.check_fits(&image)?;
    let (input, device) = (engine.input(), engine.device());
    let network = (input.height, input.width);
    let setup = Setup {
        criterion: Some(plan.criterion),
        choices: Protocol::Default.choices_with(Some(plan.loss))?,
        prompt: case.prompt.clone(),
        seed: plan.seed,
        ..Setup::new(
            resize_image(&image, network)?,
            mask.resize(input.width, input.height),
            plan.budget()?,
            input.clone(),
        )
    };
    let seen = Seen::new(network, (image.height(), image.width()), device)?;
    Ok(Read { problem: Problem::new(setup, device)?, seen })
}

impl Read {
    /// The example: a row of the engine.
    pub(super) fn open(&self, engine: &Engine) -> Result<Example<'_>, RunError> {
        let row = RowSpec {
            conditioning: engine.prepare(&self.problem.setup().prompt)?,
            objective: objective(&self.problem, engine)?,
            space: Space::Pixels,
            cancel: CancelToken::default(),
        };
        Ok(Example::new(&self.problem, Box::new(engine.open(row)?), &self.seen)?)
    }
}
