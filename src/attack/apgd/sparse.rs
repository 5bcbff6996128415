//! How many entries a step of L1-APGD moves, and how long it is.
//!
//! Croce and Hein 2021 (ICML), arXiv 2103.01208, section 4. From checkpoint to checkpoint a step moves fewer entries, a
//! fraction of those that the best point has changed, and is shorter. Where the best point has become clearly sparser,
//! the step is as long as the budget again and the attack goes back to that point.

use candle_core::{Device, Result, Tensor};

use super::schedule::Verdict;

/// The share of entries that the first steps move.
const FIRST_SHARE: f64 = 0.2;

/// Of how many changed entries one moves.
const SPARSER: f64 = 1.5;

/// Steps between two checkpoints, as a share of all.
const WINDOW: f64 = 0.04;

/// Below this ratio to the checkpoint before, the changed entries of the best point have become clearly fewer.
const FEWER: f64 = 0.95;

/// What a step that is shortened is divided by, and how often the shortest one goes into the budget.
const SHORTER: f64 = 1.5;
const SHORTEST: f64 = 10.;

/// The state of the rule after some steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sparse {
    /// The L1 length of the next step.
    pub(super) length: f64,
    /// The share of the entries that it moves.
    pub(super) share: f64,
    /// The radius of the ball and how many entries may change.
    radius: f64,
    entries: f64,
    /// How many the best point had changed at the last checkpoint.
    changed: f64,
    /// Steps since then.
    done: usize,
    /// The best loss.
    best: f64,
}

impl Sparse {
    /// How many numbers [`Self::to_tensor`] makes.
    pub(super) const NUMBERS: usize = 7;

    /// The rule for a ball of `radius` in which so many `entries` may change, from a point of this loss. `changed` is
    /// how many that point has changed, if that is to be a guide.
    pub(super) fn new((radius, entries): (f64, f64), changed: Option<f64>, loss: f64) -> Self {
        let share = changed.map_or(FIRST_SHARE, |changed| changed / entries / SPARSER);
        Self { length: radius, share, radius, entries, changed: changed.unwrap_or(entries), done: 0, best: loss }
    }

    /// Takes the loss after one of `steps` steps into account. `changed` counts what the best point has changed: the
    /// new one, or the one before.
    ///
    /// # Errors
    /// What `changed` reports.
    pub(super) fn observe(
        &mut self,
        loss: f64,
        steps: usize,
        changed: impl FnOnce(bool) -> Result<f64>,
    ) -> Result<Verdict> {
        let best = loss > self.best;
        self.best = self.best.max(loss);
        self.done += 1;
        let back = self.done == ((WINDOW * steps as f64) as usize).max(1) && self.check(changed(best)?);
        Ok(Verdict { best, back })
    }

    /// Ends a window; answers whether the best point has become sparser.
    fn check(&mut self, changed: f64) -> bool {
        let sparser = changed / self.changed < FEWER;
        let length = if sparser { self.radius } else { self.length / SHORTER };
        self.length = length.clamp(self.radius / SHORTEST, self.radius);
        self.share = changed / self.entries / SPARSER;
        (self.changed, self.done) = (changed, 0);
        sparser
    }

    /// The numbers, as a checkpoint keeps them.
    pub(super) fn to_tensor(self) -> Result<Tensor> {
        let Self { length, share, radius, entries, changed, done, best } = self;
        Tensor::new(&[length, share, radius, entries, changed, done as f64, best], &Device::Cpu)
    }

    /// What [`Self::to_tensor`] made.
    pub(super) fn from_tensor(numbers: &Tensor) -> Result<Self> {
        let numbers = numbers.to_vec1::<f64>()?;
        let &[length, share, radius, entries, changed, done, best] = numbers.as_slice() else {
            candle_core::bail!("the rule of L1 has seven numbers, found {}", numbers.len());
        };
        Ok(Self { length, share, radius, entries, changed, done: done as usize, best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule after one window of a single step.
    fn after(rule: &mut Sparse, loss: f64, changed: f64) -> Verdict {
        rule.observe(loss, 25, |_| Ok(changed)).unwrap()
    }

    #[test]
    fn steps_shorten_unless_the_best_point_became_sparser() {
        let mut rule = Sparse::new((3., 1000.), None, 0.);
        assert_eq!((rule.length, rule.share, rule.changed), (3., 0.2, 1000.));
        // 300 of 1000 are fewer: the step keeps its length and the attack goes back
        assert_eq!(after(&mut rule, 1., 300.), Verdict { best: true, back: true });
        assert_eq!((rule.length, rule.share), (3., 300. / 1000. / 1.5));
        // 285 of 300 are not below 95 %
        assert_eq!(after(&mut rule, 1., 285.), Verdict { best: false, back: false });
        assert_eq!((rule.length, rule.share), (2., 285. / 1000. / 1.5));
        (0..9).for_each(|_| assert!(!after(&mut rule, 0.5, 285.).back));
        assert_eq!(rule.length, 0.3);
        assert!(after(&mut rule, 2., 270.).back);
        assert_eq!(rule.length, 3.);
    }

    #[test]
    fn a_start_that_was_found_in_a_larger_ball_says_how_many_entries_matter() {
        let mut rule = Sparse::new((3., 1000.), Some(60.), 0.);
        assert_eq!((rule.length, rule.share), (3., 0.04));
        assert!(!after(&mut rule, 1., 60.).back);
    }

    #[test]
    fn without_a_change_there_is_nothing_to_compare_with() {
        let mut rule = Sparse::new((3., 1000.), None, 0.);
        assert!(after(&mut rule, -1., 0.).back);
        assert!(!after(&mut rule, -1., 0.).back && !after(&mut rule, 1., 5.).back);
        assert_eq!(rule.share, 5. / 1000. / 1.5);
    }

    #[test]
    fn windows_are_a_twenty_fifth_of_the_steps() {
        let mut rule = Sparse::new((3., 1000.), None, 0.);
        let asks: Vec<usize> = (1..=200)
            .filter(|_| {
                let mut asked = false;
                rule.observe(0., 100, |new| {
                    asked = true;
                    assert!(!new);
                    Ok(1000.)
                })
                .unwrap();
                asked
            })
            .collect();
        assert_eq!(asks[..3], [4, 8, 12]);
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let mut rule = Sparse::new((0.1, 40.), Some(7.), 0.3);
        for i in 0..11 {
            rule.observe(f64::from(i % 3), 60, |_| Ok(f64::from(i))).unwrap();
            let numbers = rule.to_tensor().unwrap();
            assert_eq!(numbers.dims(), [Sparse::NUMBERS]);
            assert_eq!(Sparse::from_tensor(&numbers).unwrap(), rule);
        }
        assert!(Sparse::from_tensor(&Tensor::new(&[1f64], &Device::Cpu).unwrap()).is_err());
    }
}
