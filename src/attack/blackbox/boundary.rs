//! Boundary attack: a walk along the edge of success, towards the clean image, by masks alone.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::coarse::Coarse;
use crate::attack::harness::projection::{self, Ball};
use crate::attack::harness::random::{Draw, Stream};
use crate::attack::harness::tracker::Visited;
use crate::attack::steps::{at_least, at_least_one};
use crate::attack::{Attack, AttackError, Norm, Problem, Seeks, Tracker};
use crate::oracle::Oracle;

/// Grids on which starts are drawn, in turn: a model that shrinks the image sees coarse noise best.
const START_GRIDS: [usize; 4] = [8, 32, 128, usize::MAX];

/// Questions that halve the way from the clean image to the start.
const HALVINGS: usize = 8;

/// First length of a step sideways and inwards, as a share of the distance; what they are multiplied or divided by.
const FIRST: [f64; 2] = [0.1, 0.05];
const PACE: f64 = 1.5;

/// Steps after which both lengths are adapted, and the accepted ones of them that call for shorter and longer steps.
const WINDOW: usize = 10;
const FEW: usize = 2;
const MANY: usize = 5;

/// From a random point of the budget that meets the criterion of success to the nearest one that can be found: a step
/// sideways at the same distance, one inwards, kept if the mask still meets the criterion. Nothing but masks is seen.
/// Brendel, Rauber and Bethge 2018, arXiv 1712.04248; one question a step, starts and sideways steps on coarse grids
/// are ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Boundary {
    /// How often the model is asked, the search for a start included.
    #[schema(minimum = 2, maximum = 10000)]
    pub queries: usize,
    /// Most of these questions that may be spent on finding a start.
    #[schema(minimum = 1, maximum = 10000)]
    pub starts: usize,
    /// Sideways steps are drawn on a grid of this many points a side; at most the image's own.
    #[schema(minimum = 1, maximum = 10000)]
    pub grid: usize,
}

impl Default for Boundary {
    fn default() -> Self {
        Self { queries: 2000, starts: 100, grid: 44 }
    }
}

/// Where the walk stands.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Walk {
    /// Whether there is a start.
    started: bool,
    /// Halvings that are done.
    halvings: usize,
    /// The largest share of the way to the nearest success that failed.
    failed: f64,
    /// The length of the next step sideways and inwards.
    lengths: [f64; 2],
    /// Steps of this window, and those that were kept.
    window: [usize; 2],
}

impl Walk {
    const FIRST: Self = Self { started: false, halvings: 0, failed: 0., lengths: FIRST, window: [0, 0] };

    /// After a question on the line between the clean image and the nearest success.
    fn halve(&mut self, share: f64, met: bool) {
        self.halvings += 1;
        // With a nearer success, the part of the way that failed is a larger share.
        self.failed = if met { self.failed / share } else { share };
    }

    /// After a step.
    fn adapt(&mut self, met: bool) {
        let [steps, kept] = [self.window[0] + 1, self.window[1] + usize::from(met)];
        self.window = [steps, kept];
        if steps < WINDOW {
            return;
        }
        let factor = if kept <= FEW {
            1. / PACE
        } else if kept >= MANY {
            PACE
        } else {
            1.
        };
        self.lengths = self.lengths.map(|length| (length * factor).min(0.5));
        self.window = [0, 0];
    }

    fn to_tensor(self) -> candle_core::Result<Tensor> {
        let [sideways, inwards] = self.lengths;
        let counts = [self.halvings, self.window[0], self.window[1], usize::from(self.started)].map(|n| n as f64);
        let [halvings, steps, kept, started] = counts;
        Tensor::new(&[started, halvings, self.failed, sideways, inwards, steps, kept], &Device::Cpu)
    }

    fn from_tensor(numbers: &Tensor) -> candle_core::Result<Self> {
        match numbers.to_vec1::<f64>()?[..] {
            [started, halvings, failed, sideways, inwards, steps, kept] => Ok(Self {
                started: started > 0.,
                halvings: halvings as usize,
                failed,
                lengths: [sideways, inwards],
                window: [steps as usize, kept as usize],
            }),
            _ => Err(candle_core::Error::msg("a walk is kept as seven numbers")),
        }
    }
}

/// The length of a tensor as a number, not below what may be divided by.
fn length(x: &Tensor) -> candle_core::Result<f64> {
    projection::length(x)?.to_scalar()
}

/// A direction of the grid at the edge of the budget.
fn start(ball: &Ball, stream: &mut Stream, grid: usize) -> candle_core::Result<Tensor> {
    let coarse = Coarse::new(ball.clean(), grid)?;
    let direction = ball.direction(&coarse.spread(&coarse.draw(stream, Stream::normal)?)?)?;
    ball.project(&(ball.clean() + (direction * ball.radius())?)?)
}

/// A step sideways at the same distance, and one inwards.
fn step(ball: &Ball, x: &Tensor, sideways: &Tensor, [aside, inwards]: [f64; 2]) -> candle_core::Result<Tensor> {
    let outwards = (x - ball.clean())?;
    let distance = length(&outwards)?;
    let sideways = ball.allowed(sideways.clone())?;
    let turned = (&outwards + (&sideways * (aside * distance / length(&sideways)?))?)?;
    let shorter = (&turned * ((1. - inwards) * distance / length(&turned)?))?;
    ball.project(&(ball.clean() + shorter)?)
}

impl Attack for Boundary {
    fn check(&self) -> Result<(), AttackError> {
        at_least(2, "queries", self.queries, "ask at least twice: about a start and one step")?;
        at_least_one("starts", self.starts, "without a start there is nowhere to go from")?;
        at_least_one("grid", self.grid, "use at least 1")
    }

    fn norms(&self) -> &'static [Norm] {
        &[Norm::L2]
    }

    fn seeks(&self) -> Seeks {
        Seeks::Nearest
    }

    fn points(&self) -> u64 {
        self.queries as u64
    }

    fn run(&self, problem: &Problem, oracle: &mut dyn Oracle, log: &mut Tracker) -> Result<(), AttackError> {
        let ball = problem.ball();
        let coarse = Coarse::new(ball.clean(), self.grid)?;
        let stream = |step, purpose| problem.random().stream(Draw { restart: 0, step, purpose });
        let (mut walk, mut nearest) = (Walk::FIRST, None);
        if let Some([x, logits, numbers, kept]) = log.resume() {
            nearest = Some(Visited::from_state([x, logits, numbers], problem)?);
            walk = Walk::from_tensor(&kept)?;
        }
        let limit = |walk: &Walk| if walk.started { self.queries } else { self.starts.min(self.queries) };
        while log.step() < limit(&walk) {
            keep(log, nearest.as_ref(), walk, ball)?;
            let at = log.step();
            let (x, share) = match &nearest {
                Some(nearest) if walk.started && walk.halvings < HALVINGS => {
                    let share = (1. + walk.failed) / 2.;
                    let x = ball.project(&(ball.clean() + ((&nearest.x - ball.clean())? * share)?)?)?;
                    (x, Some(share))
                }
                Some(nearest) if walk.started => {
                    let sideways = coarse.spread(&coarse.draw(&mut stream(at, "boundary"), Stream::normal)?)?;
                    (step(ball, &nearest.x, &sideways, walk.lengths)?, None)
                }
                _ => (start(ball, &mut stream(at, "boundary start"), START_GRIDS[at % START_GRIDS.len()])?, None),
            };
            let asked = log.decide(&x, oracle)?;
            match (walk.started, share) {
                (false, _) => walk.started = log.met(),
                (true, Some(share)) => walk.halve(share, log.met()),
                (true, None) => walk.adapt(log.met()),
            }
            if log.met() || !walk.started {
                nearest = Some(asked);
            }
        }
        keep(log, nearest.as_ref(), walk, ball)?;
        match nearest {
            Some(nearest) => log.settle(nearest, oracle),
            None => Ok(()),
        }
    }
}

/// Notes what the walk goes on from.
fn keep(log: &mut Tracker, nearest: Option<&Visited>, walk: Walk, ball: &Ball) -> Result<(), AttackError> {
    match nearest {
        None => log.keep([ball.clean()]),
        Some(nearest) => {
            let [x, logits, numbers] = nearest.state()?;
            log.keep([&x, &logits, &numbers, &walk.to_tensor()?]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halving_finds_where_success_begins() {
        // Success from 0.3 of the first distance on.
        let (mut walk, mut distance) = (Walk { started: true, ..Walk::FIRST }, 1.);
        for _ in 0..HALVINGS {
            let share = (1. + walk.failed) / 2.;
            let met = share * distance >= 0.3;
            walk.halve(share, met);
            if met {
                distance *= share;
            }
        }
        assert!((0.3..0.31).contains(&distance), "{distance}");
        assert_eq!(Walk::from_tensor(&walk.to_tensor().unwrap()).unwrap(), walk);
    }

    #[test]
    fn steps_grow_where_they_succeed_and_shrink_where_they_fail() {
        let after = |kept: usize| {
            let mut walk = Walk::FIRST;
            (0..WINDOW).for_each(|at| walk.adapt(at < kept));
            assert_eq!(walk.window, [0, 0]);
            walk.lengths[0] / FIRST[0]
        };
        for (kept, factor) in [(10, 1.5), (5, 1.5), (3, 1.), (2, 1. / 1.5), (0, 1. / 1.5)] {
            assert!((after(kept) - factor).abs() < 1e-12, "{kept} kept");
        }
    }

    #[test]
    fn a_step_goes_sideways_and_inwards_by_what_it_says() {
        let clean = Tensor::zeros((3, 4, 5), candle_core::DType::F32, &Device::Cpu).unwrap();
        let ball = Ball::new(&clean, (Norm::L2, 10.), None, None).unwrap();
        let x = clean.affine(1., 0.5).unwrap();
        let values: Vec<f32> = (0..60).map(|i| (i as f32 * 1.7).sin()).collect();
        let sideways = Tensor::from_vec(values, (3, 4, 5), &Device::Cpu).unwrap();
        let next = step(&ball, &x, &sideways, [0.2, 0.1]).unwrap();
        let (before, after) = (length(&x).unwrap(), length(&next).unwrap());
        assert!((after - 0.9 * before).abs() < 1e-5, "{before} {after}");
        let moved = length(&(next - (x * 0.9).unwrap()).unwrap()).unwrap();
        assert!(moved > 0.1 * before && moved < 0.25 * before, "{moved}");
    }
}
