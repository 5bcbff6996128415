//! C&W: the shortest perturbation by weighing its length against success.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::margin::{Margins, weights};
use crate::attack::harness::adam::Adam;
use crate::attack::harness::projection::Ball;
use crate::attack::steps::{at_least_one, refused};
use crate::attack::{Attack, AttackError, Norm, Problem, Seeks, Tracker};
use crate::loss::Loss;
use crate::oracle::{Answer, Measure, Oracle};

/// Keeps black and white within the range of `tanh`.
const INSIDE: f64 = 1. - 1e-6;

/// The weight of success in the first round, and what it is multiplied with until a round succeeds.
const FIRST_WEIGHT: f64 = 1.;
const GROWTH: f64 = 10.;

/// Minimises `||x' - x||^2 + c h(x')` with `x' = (tanh w + 1) / 2`, which stays in range by itself; `h` is the mean over
/// the pixels of the margin of those that are still to be won. Several rounds look for the smallest weight `c` that
/// succeeds: tenfold until one does, then between the largest that failed and the smallest that did not. With a
/// `confidence` pixels count until they are won by so much: `h` is the mean of `max(m, -confidence)`.
/// Carlini and Wagner 2017, arXiv 1608.04644, section V-A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cw {
    /// Steps of Adam in each round.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Rounds, each with another weight.
    #[schema(minimum = 1, maximum = 100)]
    pub rounds: usize,
    /// Adam's learning rate, in `w`.
    #[schema(exclusive_minimum = 0, maximum = 10)]
    pub learning_rate: f64,
    /// By how much a pixel has to be won, in its logit: what is won clearly survives rounding, resizing, another model.
    /// More than 0 asks for the loss of each point before its gradient.
    #[schema(minimum = 0, maximum = 100)]
    pub confidence: f64,
}

impl Default for Cw {
    fn default() -> Self {
        Self { steps: 60, rounds: 8, learning_rate: 0.01, confidence: 0. }
    }
}

/// The search over the weight.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Weight {
    now: f64,
    /// The largest that failed, 0 before one did.
    failed: f64,
    /// The smallest that succeeded, infinite before one did.
    succeeded: f64,
    /// Whether a point of this round meets the criterion.
    met: bool,
}

impl Weight {
    const FIRST: Self = Self { now: FIRST_WEIGHT, failed: 0., succeeded: f64::INFINITY, met: false };

    /// The weight of the next round.
    fn next(self) -> Self {
        let Self { now, failed, succeeded, met } = self;
        let (failed, succeeded) = if met { (failed, now) } else { (now, succeeded) };
        let now = match (failed > 0., succeeded.is_finite()) {
            (_, false) => now * GROWTH,
            (false, true) => now / GROWTH,
            // weights span many sizes: halve the distance of their logarithms
            (true, true) => (failed * succeeded).sqrt(),
        };
        Self { now, failed, succeeded, met: false }
    }

    fn to_tensor(self) -> candle_core::Result<Tensor> {
        Tensor::new(&[self.now, self.failed, self.succeeded, f64::from(u8::from(self.met))], &Device::Cpu)
    }

    fn from_tensor(numbers: &Tensor) -> candle_core::Result<Self> {
        match numbers.to_vec1::<f64>()?[..] {
            [now, failed, succeeded, met] => Ok(Self { now, failed, succeeded, met: met > 0. }),
            _ => Err(candle_core::Error::msg("the search over the weight is kept as four numbers")),
        }
    }
}

/// `w` of the clean image.
fn origin(ball: &Ball) -> candle_core::Result<Tensor> {
    let inside = ball.clean().affine(2. * INSIDE, -INSIDE)?;
    // artanh(a) = ln((1 + a) / (1 - a)) / 2
    ((inside.affine(1., 1.)? / inside.affine(-1., 1.)?)?.log()? * 0.5)?.detach().contiguous()
}

/// The margins of the pixels that are still to be won.
fn by_margin() -> Measure {
    Measure { loss: Some(Loss::MaskedMargin), ..Measure::default() }
}

impl Cw {
    /// The margins of what is still to be won, and the gradient of minus the penalty. With a confidence, which the loss
    /// does not know, it is that of the logits of all pixels that are not won by so much.
    fn answer(&self, x: &Tensor, problem: &Problem, oracle: &mut dyn Oracle) -> Result<Answer, AttackError> {
        if self.confidence == 0. {
            return Ok(oracle.gradient_by(x, &by_margin())?);
        }
        let (loss, logits) = oracle.loss_by(x, &by_margin())?;
        let margins = Margins::of(problem, &logits)?;
        let pixels = margins.count() as f64;
        let slope = |(left, slope): (&f64, &f64)| if *left > -self.confidence { -slope / pixels } else { 0. };
        let slopes = margins.left.iter().zip(&margins.slope).map(slope);
        let measure = Measure { weights: Some(weights(slopes, &logits)?), ..Measure::default() };
        let Answer { gradient, .. } = oracle.gradient_by(x, &measure)?;
        Ok(Answer { loss, gradient, logits })
    }
}

impl Attack for Cw {
    fn check(&self) -> Result<(), AttackError> {
        at_least_one("steps", self.steps, "take at least one step")?;
        at_least_one("rounds", self.rounds, "1 tries one weight")?;
        if !(self.learning_rate > 0. && self.learning_rate <= 10.) {
            return Err(refused("learning_rate", self.learning_rate, "use a number above 0 and not above 10"));
        }
        if (0. ..=100.).contains(&self.confidence) {
            return Ok(());
        }
        Err(refused("confidence", self.confidence, "use 0 (a pixel is won or not) to 100"))
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::L2]
    }

    fn seeks(&self) -> Seeks {
        Seeks::Nearest
    }

    fn points(&self) -> u64 {
        (self.steps as u64).saturating_mul(self.rounds as u64).saturating_add(1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ball = problem.ball();
        let measure = by_margin();
        let first = origin(ball)?;
        let (mut w, mut adam, mut weight) = (first.clone(), Adam::new(self.learning_rate, &first)?, Weight::FIRST);
        if let Some([kept, mean, square, numbers]) = log.resume() {
            (w, adam.means, adam.taken) = (kept, [mean, square], log.step() % self.steps);
            weight = Weight::from_tensor(&numbers)?;
        }
        let rounds = self.steps * self.rounds;
        while log.step() < rounds {
            log.keep([&w, &adam.means[0], &adam.means[1], &weight.to_tensor()?]);
            let tanh = w.tanh()?;
            let x = ball.project(&tanh.affine(0.5, 0.5)?)?;
            let answer = self.answer(&x, problem, oracle)?;
            log.visit(&x, &answer)?;
            weight.met |= log.met();
            // The objective is minus the penalty: attacks raise it.
            let uphill = (((&x - ball.clean())? * 2.)? - (answer.gradient * weight.now)?)?;
            let slope = tanh.sqr()?.affine(-0.5, 0.5)?;
            w = (w - adam.step(&(ball.allowed(uphill)? * slope)?)?)?;
            if log.step().is_multiple_of(self.steps) {
                (w, adam, weight) = (first.clone(), Adam::new(self.learning_rate, &first)?, weight.next());
            }
        }
        log.keep([&w, &adam.means[0], &adam.means[1], &weight.to_tensor()?]);
        log.finish_by(&ball.project(&w.tanh()?.affine(0.5, 0.5)?)?, &measure, oracle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_grows_until_it_succeeds_and_is_bisected_then() {
        let round = |weight: Weight, met| Weight { met, ..weight }.next();
        let grown = round(round(Weight::FIRST, false), false);
        assert_eq!((grown.now, grown.failed), (100., 10.));
        let between = round(grown, true);
        assert!((between.now - 1000f64.sqrt()).abs() < 1e-9 && between.succeeded == 100. && !between.met);
        let above = round(between, false);
        assert!(above.failed == between.now && above.now > between.now && above.now < 100.);
        let easy = round(Weight::FIRST, true);
        assert_eq!((easy.now, easy.succeeded, easy.failed), (0.1, 1., 0.));
        assert_eq!(Weight::from_tensor(&above.to_tensor().unwrap()).unwrap(), above);
        assert_eq!(Weight::from_tensor(&Weight::FIRST.to_tensor().unwrap()).unwrap(), Weight::FIRST);
    }

    #[test]
    fn the_origin_is_the_clean_image() {
        let clean = Tensor::new(&[[[0f32, 0.25, 1.]]], &Device::Cpu).unwrap();
        let ball = Ball::new(&clean, (Norm::L2, 1.), None, Some((0., 1.))).unwrap();
        let back = origin(&ball).unwrap().tanh().unwrap().affine(0.5, 0.5).unwrap();
        for (found, wanted) in back.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().zip([0., 0.25, 1.]) {
            assert!((found - wanted).abs() < 2e-6, "{found}");
        }
    }
}
