//! How long APGD's steps are: halved where the loss does not rise enough.
//!
//! Croce and Hein 2020, section 3. The steps are cut into windows. At the end of each, the step is halved and the
//! attack goes back to its best point if the loss rose in no more than three quarters of the window's steps, or if
//! the step was not halved at the end of the window before and there has been no better point since.

use candle_core::{Device, Result, Tensor};

/// The first window, and what is taken off each that follows, down to the shortest: shares of all steps.
const FIRST: f64 = 0.22;
const LESS: f64 = 0.03;
const SHORTEST: f64 = 0.06;

/// The share of a window's steps in which the loss has to rise.
const RISING: f64 = 0.75;

/// The state of the rule after some steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Schedule {
    /// The length of the next step.
    pub(super) length: f64,
    /// Steps of the current window, of these done, and of these with a rise of the loss.
    window: usize,
    done: usize,
    rises: usize,
    /// The loss after the last step, the best one, and the best one at the last checkpoint.
    last: f64,
    best: f64,
    checked: f64,
    /// Whether the step was halved at the last checkpoint; the start counts as such.
    halved: bool,
}

/// What follows from the loss at a new point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The point is the best so far.
    pub(super) best: bool,
    /// The step was halved: go back to the best point.
    pub(super) back: bool,
}

impl Schedule {
    /// A schedule of `steps` steps, the first of `length`, from a point of this loss.
    pub(super) fn new(steps: usize, length: f64, loss: f64) -> Self {
        let window = share(FIRST, steps);
        Self { length, window, done: 0, rises: 0, last: loss, best: loss, checked: loss, halved: true }
    }

    /// Takes the loss after one of `steps` steps into account.
    pub(super) fn observe(&mut self, loss: f64, steps: usize) -> Verdict {
        let best = loss > self.best;
        self.best = self.best.max(loss);
        self.rises += usize::from(loss > self.last);
        self.last = loss;
        self.done += 1;
        Verdict { best, back: self.done == self.window && self.check(steps) }
    }

    /// Ends a window; answers whether the step was halved.
    fn check(&mut self, steps: usize) -> bool {
        let oscillates = self.rises as f64 <= RISING * self.window as f64;
        let stuck = !self.halved && self.best <= self.checked;
        self.halved = oscillates || stuck;
        if self.halved {
            self.length /= 2.;
        }
        self.checked = self.best;
        self.window = self.window.saturating_sub(share(LESS, steps)).max(share(SHORTEST, steps));
        (self.done, self.rises) = (0, 0);
        self.halved
    }

    /// The numbers, as a checkpoint keeps them.
    pub(super) fn to_tensor(self) -> Result<Tensor> {
        let [window, done, rises] = [self.window, self.done, self.rises].map(|n| n as f64);
        let halved = f64::from(u8::from(self.halved));
        Tensor::new(&[self.length, window, done, rises, self.last, self.best, self.checked, halved], &Device::Cpu)
    }

    /// What [`Self::to_tensor`] made.
    pub(super) fn from_tensor(numbers: &Tensor) -> Result<Self> {
        let numbers = numbers.to_vec1::<f64>()?;
        let &[length, window, done, rises, last, best, checked, halved] = numbers.as_slice() else {
            candle_core::bail!("a schedule has eight numbers, found {}", numbers.len());
        };
        let [window, done, rises] = [window, done, rises].map(|n| n as usize);
        Ok(Self { length, window, done, rises, last, best, checked, halved: halved != 0. })
    }
}

/// A share of all steps, at least one.
fn share(of: f64, steps: usize) -> usize {
    ((of * steps as f64) as usize).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After which of `steps` steps of these losses the step is halved.
    fn halvings(steps: usize, loss: impl Fn(usize) -> f64) -> Vec<usize> {
        let mut schedule = Schedule::new(steps, 2., loss(0));
        (1..=steps).filter(|step| schedule.observe(loss(*step), steps).back).collect()
    }

    /// The ends of the windows: a loss that never rises halves the step at each.
    fn checkpoints(steps: usize) -> Vec<usize> {
        halvings(steps, |_| 0.)
    }

    #[test]
    fn windows_are_those_of_the_paper() {
        // 2, 1, 1, ...
        assert_eq!(checkpoints(10), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
        // 8, 7, 6, ... down to 2
        assert_eq!(checkpoints(40), [8, 15, 21, 26, 30, 33, 35, 37, 39]);
        // 22, 19, 16, 13, 10, 7, 6, 6
        assert_eq!(checkpoints(100), [22, 41, 57, 70, 80, 87, 93, 99]);
        // 66, 57, 48, 39, 30, 21, 18, 18
        assert_eq!(checkpoints(300), [66, 123, 171, 210, 240, 261, 279, 297]);
        assert_eq!(checkpoints(1), [1]);
    }

    #[test]
    fn a_loss_that_always_rises_never_halves_the_step() {
        assert_eq!(halvings(100, |step| step as f64), [0; 0]);
    }

    #[test]
    fn the_first_condition_counts_the_rises_of_a_window() {
        // 22 steps: 16 rises are at most 16.5 of them, 17 are more. A plateau is no rise.
        let falls_after = |rises: usize| move |step: usize| if step <= rises { step as f64 } else { rises as f64 };
        assert_eq!(halvings(100, falls_after(16))[0], 22);
        assert_ne!(halvings(100, falls_after(17))[0], 22);
        // exactly three quarters of a window of 8 are not enough
        assert_eq!(halvings(40, falls_after(6))[0], 8);
        assert_eq!(halvings(40, falls_after(7))[0], 15);
    }

    #[test]
    fn the_second_condition_wants_a_better_point_since_the_last_check() {
        // A loss that rises in each step of every window, but falls far below its best at the start of the second one:
        // 22 steps up to 22, then from -100 upwards.
        let loss = |step: usize| if step <= 22 { step as f64 } else { step as f64 - 100. };
        // The first window counts as halved, so nothing happens at 22. At 41 the step was not halved before and the
        // best loss is still 22: it is halved. At 57 it was halved before. At 70 it was not: again.
        assert_eq!(halvings(100, loss), [41, 70, 87, 99]);
        // With a better point just before each check there is no reason.
        let reaches =
            |step: usize| if [41, 57, 70, 80, 87, 93, 99].contains(&step) { 1000. + step as f64 } else { loss(step) };
        assert!(!halvings(100, reaches).contains(&41));
    }

    #[test]
    fn the_step_halves_and_the_best_point_is_told() {
        let mut schedule = Schedule::new(10, 2., 5.);
        assert_eq!(schedule.observe(6., 10), Verdict { best: true, back: false });
        // one rise of two is at most 1.5
        assert_eq!(schedule.observe(6., 10), Verdict { best: false, back: true });
        assert_eq!(schedule.length, 1.);
        assert_eq!(schedule.observe(7., 10), Verdict { best: true, back: false });
        assert_eq!(schedule.length, 1.);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let mut schedule = Schedule::new(40, 0.1, 0.3);
        (0..11).for_each(|i| {
            schedule.observe(f64::from(i % 3), 40);
            assert_eq!(Schedule::from_tensor(&schedule.to_tensor().unwrap()).unwrap(), schedule);
        });
        assert!(Schedule::from_tensor(&Tensor::new(&[1f64], &Device::Cpu).unwrap()).is_err());
    }
}
