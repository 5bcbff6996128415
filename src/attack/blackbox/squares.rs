//! Random search over squares: what the attacks of Andriushchenko et al. 2020 (arXiv 1912.00049) share.
//!
//! Every value sits at one of its two extremes within the budget. A proposal lays a square of one colour somewhere; it
//! is kept if the model's answer is better. Squares shrink as the search goes on.

use candle_core::Tensor;

use crate::attack::harness::random::{Draw, Stream};
use crate::attack::harness::tracker::Visited;
use crate::attack::steps::{at_least, refused};
use crate::attack::{AttackError, Problem, Tracker};
use crate::imaging::Mask;
use crate::oracle::Oracle;

/// Questions after which the share of the image in a square halves, for 10,000 questions (appendix of the paper).
const HALVINGS: [usize; 9] = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000];

/// Draws of a proposal until one changes something. Where nothing can change, all are in vain.
const DRAWS: usize = 64;

/// What the attacker is told about a point, and what counts as progress.
pub(super) struct Sight {
    /// Asks about a point.
    pub(super) ask: fn(&mut Tracker, &Tensor, &mut dyn Oracle) -> Result<Visited, AttackError>,
    /// Whether a proposal replaces the current point: objective of the proposal, of the current point.
    pub(super) accepts: fn(f32, f32) -> bool,
}

/// Checks the parameters of a search.
///
/// # Errors
/// [`AttackError::Parameter`].
pub(super) fn check(queries: usize, initial_share: f64) -> Result<(), AttackError> {
    at_least(2, "queries", queries, "ask at least twice: about stripes and one square")?;
    if initial_share > 0. && initial_share <= 1. {
        return Ok(());
    }
    Err(refused("initial_share", initial_share, "a share of the image lies above 0 and not above 1"))
}

/// The share of the image in a square at one of `steps` questions, from 0: the published schedule, rescaled.
pub(super) fn share(initial: f64, step: usize, steps: usize) -> f64 {
    let scaled = step * 10_000 / steps.max(1);
    let halvings = HALVINGS.iter().filter(|after| scaled > **after).count();
    initial / f64::from(1_u32 << halvings)
}

/// The side of a square that covers a share of `height` x `width` pixels: at least one pixel, at most the image.
pub(super) fn side(share: f64, (height, width): (usize, usize)) -> usize {
    let side = (share * (height * width) as f64).sqrt().round() as usize;
    side.clamp(1, height.min(width))
}

/// Asks `queries` questions, the first about stripes, the others about squares laid over the best answer so far.
pub(super) fn search(
    problem: &Problem,
    oracle: &mut dyn Oracle,
    log: &mut Tracker,
    (queries, initial_share): (usize, f64),
    Sight { ask, accepts }: Sight,
) -> Result<(), AttackError> {
    let squares = Squares::new(problem)?;
    let draw = |step, purpose| problem.random().stream(Draw { restart: 0, step, purpose });
    let mut current = match log.resume() {
        Some(state) => Visited::from_state(state, problem)?,
        None => {
            let stripes = squares.stripes(&mut draw(0, "stripes"))?;
            log.keep([&stripes]);
            ask(log, &stripes, oracle)?
        }
    };
    while log.step() < queries {
        log.keep_at(&current)?;
        let step = log.step() - 1;
        let share = share(initial_share, step, queries);
        let proposal = squares.proposal(&current.x, share, &mut draw(step, "square"))?;
        let proposed = ask(log, &proposal, oracle)?;
        if accepts(proposed.evaluation.loss, current.evaluation.loss) {
            current = proposed;
        }
    }
    log.keep_at(&current)?;
    log.settle(current, oracle)
}

/// The extremes of an image's values, and where squares are laid.
struct Squares {
    /// The lowest and the highest value of each entry, `[3, h, w]` row-major.
    low: Vec<f32>,
    high: Vec<f32>,
    clean: Tensor,
    frame: Frame,
}

/// The smallest rectangle around all pixels that may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

impl Squares {
    fn new(problem: &Problem) -> Result<Self, AttackError> {
        let values = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
        let [low, high] = problem.ball().corners()?;
        let clean = problem.ball().clean().clone();
        let (_, height, width) = clean.dims3()?;
        let frame = problem.setup().region.as_ref().map_or(Frame { left: 0, top: 0, width, height }, Frame::around);
        Ok(Self { low: values(&low)?, high: values(&high)?, clean, frame })
    }

    fn tensor(&self, values: Vec<f32>) -> Result<Tensor, AttackError> {
        Ok(Tensor::from_vec(values, self.clean.shape(), self.clean.device())?)
    }

    fn extreme(&self, high: bool) -> &[f32] {
        if high { &self.high } else { &self.low }
    }

    /// Columns of one colour each.
    fn stripes(&self, stream: &mut Stream) -> Result<Tensor, AttackError> {
        let (channels, height, width) = self.clean.dims3()?;
        let mut values = Vec::with_capacity(channels * height * width);
        for channel in 0..channels {
            let colours: Vec<bool> = (0..width).map(|_| coin(stream)).collect();
            for row in 0..height {
                let from = (channel * height + row) * width;
                values.extend(colours.iter().enumerate().map(|(column, high)| self.extreme(*high)[from + column]));
            }
        }
        self.tensor(values)
    }

    /// `x` with a square of one colour laid over a `share` of it; drawn anew while that changes nothing.
    fn proposal(&self, x: &Tensor, share: f64, stream: &mut Stream) -> Result<Tensor, AttackError> {
        let Frame { left, top, width, height } = self.frame;
        let side = side(share, (height, width));
        let mut values = x.flatten_all()?.to_vec1::<f32>()?;
        for _ in 0..DRAWS {
            let at = (left + below(stream, width - side + 1), top + below(stream, height - side + 1));
            let colour = [coin(stream), coin(stream), coin(stream)];
            if self.lay(&mut values, (at, side), colour)? {
                break;
            }
        }
        self.tensor(values)
    }

    /// Lays a square; whether that changes anything.
    fn lay(
        &self,
        values: &mut [f32],
        ((left, top), side): ((usize, usize), usize),
        colour: [bool; 3],
    ) -> Result<bool, AttackError> {
        let (_, height, width) = self.clean.dims3()?;
        let mut changed = false;
        for (channel, high) in colour.into_iter().enumerate() {
            for row in top..top + side {
                let from = (channel * height + row) * width + left;
                let (old, new) = (&mut values[from..from + side], &self.extreme(high)[from..from + side]);
                changed |= old != new;
                old.copy_from_slice(new);
            }
        }
        Ok(changed)
    }
}

impl Frame {
    /// Around the pixels of a mask that has some.
    fn around(region: &Mask) -> Self {
        let pixels = region.bits().iter().enumerate().filter(|(_, inside)| **inside);
        let mut ends = (usize::MAX, usize::MAX, 0, 0);
        for (at, _) in pixels {
            let (x, y) = (at % region.width(), at / region.width());
            ends = (ends.0.min(x), ends.1.min(y), ends.2.max(x), ends.3.max(y));
        }
        let (left, top, right, bottom) = ends;
        Self { left, top, width: right - left + 1, height: bottom - top + 1 }
    }
}

fn coin(stream: &mut Stream) -> bool {
    stream.uniform() < 0.5
}

/// A whole number from 0 to `end - 1`.
fn below(stream: &mut Stream, end: usize) -> usize {
    (stream.uniform() * end as f64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_the_published_one() {
        // p of `square-attack` for p_init = .8 and 10,000 iterations, at both sides of each halving.
        for (step, halvings) in [
            (0, 0),
            (10, 0),
            (11, 1),
            (50, 1),
            (51, 2),
            (200, 2),
            (201, 3),
            (500, 3),
            (501, 4),
            (1000, 4),
            (1001, 5),
            (2000, 5),
            (2001, 6),
            (4000, 6),
            (4001, 7),
            (6000, 7),
            (6001, 8),
            (8000, 8),
            (8001, 9),
            (9999, 9),
        ] {
            assert_eq!(share(0.8, step, 10_000), 0.8 / 2f64.powi(halvings), "step {step}");
        }
        // Rescaled: step 6 of 1000 is step 60 of 10,000.
        assert_eq!([share(0.8, 5, 1000), share(0.8, 6, 1000), share(0.8, 999, 1000)], [0.4, 0.2, 0.8 / 512.]);
        assert_eq!(share(0.3, 0, 1), 0.3);
    }

    #[test]
    fn sides_are_those_of_the_paper_and_stay_in_the_image() {
        // round(sqrt(p h w)) on 224 x 224, and on an image that is not square.
        let sides = |size| [0.8, 0.4, 0.2, 0.05, 0.0125, 0.8 / 512.].map(|share| side(share, size));
        assert_eq!(sides((224, 224)), [200, 142, 100, 50, 25, 9]);
        assert_eq!(sides((20, 500)), [20, 20, 20, 20, 11, 4]);
        assert_eq!(sides((1, 1)), [1; 6]);
    }

    #[test]
    fn a_frame_holds_the_region_and_no_more() {
        let region = Mask::from_fn(9, 7, |x, y| (x, y) == (2, 3) || (x, y) == (5, 1));
        assert_eq!(Frame::around(&region), Frame { left: 2, top: 1, width: 4, height: 3 });
        let corner = Mask::from_fn(9, 7, |x, y| (x, y) == (8, 6));
        assert_eq!(Frame::around(&corner), Frame { left: 8, top: 6, width: 1, height: 1 });
    }
}
