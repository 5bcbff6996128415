//! The smallest epsilon that suffices, by bisection with a warm-started inner attack.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::attack::harness::projection::Ball;
use crate::attack::steps::{at_least_one, refused};
use crate::attack::{Attack, AttackError, Epsilon, Norm, Problem, Seeks, Tracker, Unit};
use crate::oracle::{Measure, Oracle};

/// The inner attack's step as a share of its epsilon; few steps have to be long ones.
const STEP_SHARE: f64 = 0.25;
const REACH: f64 = 2.5;

/// Tries the whole budget, then smaller and larger epsilons between the largest that failed and the smallest that met
/// the criterion, each with PGD from the nearest success so far. Every question is about an 8-bit image: for L-inf,
/// epsilon is a whole number of levels, and what suffices for a point suffices for the file.
///
/// Steps as in Madry et al. 2018, arXiv 1706.06083; the measure is the minimal distance of Carlini et al. 2019,
/// arXiv 1902.06705, section 4.3.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SmallestEpsilon {
    /// Most gradient steps at each epsilon; a success ends it early.
    #[schema(minimum = 1, maximum = 9999)]
    pub steps: usize,
    /// Most epsilons that are tried.
    #[schema(minimum = 1, maximum = 100)]
    pub rounds: usize,
    /// For L2, the search ends when the bounds differ by less than this share of the upper one.
    #[schema(exclusive_minimum = 0, exclusive_maximum = 1)]
    pub tolerance: f64,
}

impl Default for SmallestEpsilon {
    fn default() -> Self {
        Self { steps: 40, rounds: 10, tolerance: 0.05 }
    }
}

/// Where the search over epsilon stands, in levels of 255.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bisection {
    /// The epsilon being tried.
    now: f64,
    /// The largest that failed.
    failed: f64,
    /// The smallest that met the criterion, infinite before one did.
    met: f64,
    /// Epsilons that are done, and steps at this one.
    rounds: usize,
    steps: usize,
}

impl Bisection {
    /// Begins with the whole budget; `whole` says that epsilons are whole numbers.
    fn new(levels: f64, whole: bool) -> Self {
        // As the lattice does, forgives an epsilon that is a rounding error short of a level.
        let now = if whole { (levels + 1e-4).floor() } else { levels };
        Self { now, failed: 0., met: f64::INFINITY, rounds: 0, steps: 0 }
    }

    /// After a success at a `distance`, or a failure.
    fn next(self, distance: Option<f64>, whole: bool) -> Self {
        let (failed, met) = match distance {
            Some(distance) => (self.failed.min(distance), distance.min(self.now)),
            None => (self.now, self.met),
        };
        let middle = (failed + met) / 2.;
        let now = if whole { middle.floor() } else { middle };
        Self { now, failed, met, rounds: self.rounds + 1, steps: 0 }
    }

    /// Whether there is nothing left to try.
    fn is_over(self, most_rounds: usize, resolution: f64) -> bool {
        let open = self.rounds == 0 || (self.met.is_finite() && self.met - self.failed > resolution);
        self.rounds >= most_rounds || !open
    }

    fn to_tensor(self) -> candle_core::Result<Tensor> {
        let numbers = [self.now, self.failed, self.met, self.rounds as f64, self.steps as f64];
        Tensor::new(&numbers, &Device::Cpu)
    }

    fn from_tensor(numbers: &Tensor) -> candle_core::Result<Self> {
        match numbers.to_vec1::<f64>()?[..] {
            [now, failed, met, rounds, steps] => {
                Ok(Self { now, failed, met, rounds: rounds as usize, steps: steps as usize })
            }
            _ => Err(candle_core::Error::msg("a bisection is kept as five numbers")),
        }
    }
}

/// The inner attack at one epsilon: takes a point and the gradient near it, answers the next point. Another attack
/// with warm starts could take its place.
struct Inner {
    ball: Ball,
    alpha: f64,
}

impl Inner {
    fn new(problem: &Problem, levels: f64, steps: usize) -> Result<Self, AttackError> {
        let radius = problem.length(Epsilon::new(levels, Unit::Pixel255)?);
        let alpha = radius * STEP_SHARE.max(REACH / steps as f64);
        Ok(Self { ball: problem.ball().with_radius(radius)?, alpha })
    }

    fn start(&self, nearest: &Tensor) -> candle_core::Result<Tensor> {
        self.ball.project(nearest)
    }

    fn next(&self, x: &Tensor, gradient: &Tensor) -> candle_core::Result<Tensor> {
        self.ball.advance(x, gradient, self.alpha)
    }
}

impl Attack for SmallestEpsilon {
    fn check(&self) -> Result<(), AttackError> {
        at_least_one("steps", self.steps, "take at least one step")?;
        at_least_one("rounds", self.rounds, "1 tries the whole budget only")?;
        if self.tolerance > 0. && self.tolerance < 1. {
            return Ok(());
        }
        Err(refused("tolerance", self.tolerance, "a share of epsilon lies above 0 and below 1"))
    }

    fn seeks(&self) -> Seeks {
        Seeks::Nearest
    }

    fn points(&self) -> u64 {
        (self.steps as u64).saturating_mul(self.rounds as u64).saturating_add(1)
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let whole = problem.ball().norm() == Norm::Linf;
        // The point of the inner attack, the nearest success, and the search.
        let (mut x, mut nearest, mut search) = match log.resume() {
            Some([x, nearest, numbers]) => (x, nearest, Bisection::from_tensor(&numbers)?),
            None => {
                let clean = problem.ball().clean().clone();
                (clean.clone(), clean, Bisection::new(problem.lattice().levels, whole))
            }
        };
        let resolution = |search: &Bisection| if whole { 1. } else { self.tolerance * search.met };
        while !search.is_over(self.rounds, resolution(&search)) {
            let inner = Inner::new(problem, search.now, self.steps)?;
            while search.steps < self.steps {
                log.keep([&x, &nearest, &search.to_tensor()?]);
                let rounded = problem.on_lattice(&x, search.now)?;
                let answer = oracle.gradient_by(&rounded, &Measure::after(search.steps, self.steps))?;
                log.visit(&rounded, &answer)?;
                if log.met() {
                    nearest = rounded;
                    break;
                }
                x = inner.next(&x, &answer.gradient)?;
                search.steps += 1;
            }
            let met = search.steps < self.steps;
            let distance = if met { Some(levels(problem, &nearest)?) } else { None };
            search = search.next(distance, whole);
            if search.met.is_finite() {
                x = Inner::new(problem, search.now, self.steps)?.start(&nearest)?;
            }
        }
        log.keep([&x, &nearest, &search.to_tensor()?]);
        log.finish(&nearest, oracle)
    }
}

/// The distance of a point from the clean image, in levels of 255.
fn levels(problem: &Problem, x: &Tensor) -> Result<f64, AttackError> {
    let distance = problem.ball().distance(x)?.to_scalar::<f64>()?;
    let std = &problem.setup().preprocess.std;
    let levels = Epsilon::new(distance, problem.unit())?.in_unit(Unit::Pixel255, std);
    // A whole number of levels comes out of 32-bit numbers as nearly one.
    Ok(if problem.ball().norm() == Norm::Linf { levels.round() } else { levels })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The epsilons that are tried if `enough` suffices, and what is found.
    fn search(budget: f64, enough: f64, whole: bool) -> (Vec<f64>, f64) {
        let (mut search, mut tried) = (Bisection::new(budget, whole), vec![]);
        while !search.is_over(20, if whole { 1. } else { 0.05 * search.met }) {
            tried.push(search.now);
            search = search.next((search.now >= enough).then_some(search.now), whole);
        }
        (tried, search.met)
    }

    #[test]
    fn every_whole_epsilon_is_found() {
        assert_eq!(search(8., 3., true), (vec![8., 4., 2., 3.], 3.));
        for budget in 1..40 {
            for enough in 1..=budget {
                let (tried, found) = search(f64::from(budget), f64::from(enough), true);
                assert_eq!(found, f64::from(enough));
                assert!(tried.len() <= 8 && tried.iter().all(|epsilon| *epsilon >= 1.), "{tried:?}");
            }
        }
        // Nothing suffices: the whole budget is tried once.
        assert_eq!(search(8., 9., true), (vec![8.], f64::INFINITY));
        // 8/255 in 32 bits, and a budget below one level.
        assert_eq!(Bisection::new(7.99999, true).now, 8.);
        assert_eq!(search(0.5, 0., true).0, [0.]);
    }

    #[test]
    fn without_levels_the_tolerance_ends_the_search() {
        let (tried, found) = search(1000., 123., false);
        assert!((123. ..=123. * 1.06).contains(&found), "{found}");
        assert!(tried.len() < 10);
    }

    #[test]
    fn a_success_that_is_nearer_than_it_had_to_be_counts_as_that() {
        let first = Bisection::new(16., true).next(Some(5.), true);
        assert_eq!((first.met, first.now), (5., 2.));
        assert_eq!(Bisection::from_tensor(&first.to_tensor().unwrap()).unwrap(), first);
    }
}
