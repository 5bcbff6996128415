//! How many rows a call of the model should have, learnt from how long calls took.
//!
//! The time of a call is not a simple function of its rows: on a GPU it hardly rises until the device is full, on a
//! CPU it rises in proportion, faster where a batch outgrows a cache. So nothing is assumed: each number of rows has
//! the median of its last few calls. From the smallest number upwards, larger ones are tried while they bring more
//! rows a second; the choice is the smallest that is nearly as fast as the best, because a short call makes nobody
//! wait. Now and then a neighbour of the choice is tried again, as devices get warm and machines are shared.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Calls remembered for each number of rows.
const KEPT: usize = 5;
/// Calls before a number of rows is judged: the first one may pay for warming up.
const ENOUGH: usize = 3;
/// More rows a second by less than this are no gain.
const WORTH: f64 = 1.05;
/// After so many larger numbers of rows without a gain, the search ends.
const PATIENCE: usize = 2;
/// Every so many calls a neighbour is tried: if it is a tenth slower, that costs less than one per cent.
const EXPLORE_EVERY: u64 = 16;
/// A number of rows that did not come together so often is not waited for, for a while.
const MISSES: u32 = 8;
const FORGET_MISSES_EVERY: u64 = 256;

/// Seconds of calls by their number of rows, for one kind of question on one device.
#[derive(Debug, Default)]
pub(super) struct Cost {
    recent: BTreeMap<usize, VecDeque<f64>>,
    /// How often a number of rows was wanted and fewer came.
    missed: BTreeMap<usize, u32>,
    calls: u64,
}

impl Cost {
    /// Takes a call of `rows` into account, for which `wanted` were waited for.
    pub(super) fn observe(&mut self, rows: usize, wanted: usize, seconds: f64) {
        if rows < wanted {
            *self.missed.entry(wanted).or_default() += 1;
        }
        if self.calls.is_multiple_of(FORGET_MISSES_EVERY) {
            self.missed.clear();
        }
        let recent = self.recent.entry(rows).or_default();
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(seconds);
        self.calls += 1;
    }

    /// Rows of the next call: from `fewest` to `most`, unless there are fewer than that. A call of more than `fewest`
    /// rows should not take longer than `longest`.
    ///
    /// Answers the same until the next [`Self::observe`].
    pub(super) fn rows(&self, (fewest, most): (usize, usize), longest: Duration) -> usize {
        let fewest = fewest.clamp(1, most.max(1));
        let candidates = candidates(fewest, most);
        let search = self.search(&candidates, longest.as_secs_f64());
        match search {
            Search::Try(rows) => rows,
            Search::Known(chosen, known) if self.calls % EXPLORE_EVERY == EXPLORE_EVERY - 1 => {
                let up = (self.calls / EXPLORE_EVERY).is_multiple_of(2);
                let neighbour = if up { chosen + 1 } else { chosen.saturating_sub(1) };
                known.get(neighbour).copied().unwrap_or(known[chosen])
            }
            Search::Known(chosen, known) => known[chosen],
        }
    }

    /// Median seconds by number of rows.
    pub(super) fn seconds(&self) -> BTreeMap<usize, f64> {
        self.recent.iter().map(|(rows, recent)| (*rows, median(recent))).collect()
    }

    fn search<'a>(&self, candidates: &'a [usize], longest: f64) -> Search<'a> {
        let mut known: Vec<(usize, f64)> = Vec::new();
        let (mut best, mut without_gain) = (0., 0);
        for &rows in candidates {
            let Some(recent) = self.recent.get(&rows).filter(|recent| recent.len() >= ENOUGH) else {
                let fits = known.is_empty() || extrapolate(&known, rows) <= longest;
                let comes = self.missed.get(&rows).is_none_or(|missed| *missed < MISSES);
                if fits && comes && without_gain < PATIENCE {
                    return Search::Try(rows);
                }
                break;
            };
            let seconds = median(recent);
            if seconds > longest && !known.is_empty() {
                break;
            }
            known.push((rows, seconds));
            if rate((rows, seconds)) >= best * WORTH {
                (best, without_gain) = (rate((rows, seconds)), 0);
            } else {
                without_gain += 1;
            }
        }
        let best = known.iter().copied().map(rate).fold(0., f64::max);
        let chosen = known.iter().position(|call| rate(*call) * WORTH >= best).unwrap_or(0);
        Search::Known(chosen, &candidates[..known.len().max(1)])
    }
}

/// Rows a second.
fn rate((rows, seconds): (usize, f64)) -> f64 {
    rows as f64 / seconds.max(f64::MIN_POSITIVE)
}

/// The seconds of a call of more rows than those that are known, on the line through the last two.
fn extrapolate(known: &[(usize, f64)], rows: usize) -> f64 {
    match known {
        [] => 0.,
        [(_, seconds)] => *seconds,
        [.., (fewer, less), (more, seconds)] => {
            seconds + (seconds - less).max(0.) * (rows - more) as f64 / (more - fewer) as f64
        }
    }
}

/// What is known about the candidates.
enum Search<'a> {
    /// This one is not known well enough.
    Try(usize),
    /// The place of the best among those that are known.
    Known(usize, &'a [usize]),
}

/// Powers of two and the numbers half way between them, from `fewest`, and `most` itself.
fn candidates(fewest: usize, most: usize) -> Vec<usize> {
    let steps = (0..usize::BITS - 2).flat_map(|power| [1 << power, (1 << power) + (1 << power) / 2]);
    let mut candidates = vec![fewest];
    candidates.extend(steps.skip_while(|rows| *rows <= fewest).take_while(|rows| *rows < most));
    candidates.extend((most > fewest).then_some(most));
    candidates.dedup();
    candidates
}

fn median(values: &VecDeque<f64>) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted[(sorted.len() - 1) / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(2);

    /// What is chosen after `calls` calls of a device that takes `seconds(rows, call)`, explorations apart, and how
    /// many calls had each number of rows.
    fn settle(
        cost: &mut Cost,
        most: usize,
        calls: u64,
        seconds: impl Fn(usize, u64) -> f64,
    ) -> (usize, BTreeMap<usize, u64>) {
        let mut used = BTreeMap::new();
        for call in 0..calls {
            let rows = cost.rows((1, most), LONGEST);
            assert!((1..=most).contains(&rows));
            cost.observe(rows, rows, seconds(rows, call));
            *used.entry(rows).or_default() += 1;
        }
        let chosen = *used.iter().max_by_key(|(_, calls)| **calls).unwrap().0;
        (chosen, used)
    }

    #[test]
    fn a_device_whose_time_hardly_rises_gets_full_batches() {
        let gpu = |rows: usize, _| 0.02 * (rows as f64 / 24.).max(1.) + 1e-4 * rows as f64;
        assert_eq!(settle(&mut Cost::default(), 64, 400, gpu).0, 24);
        assert_eq!(settle(&mut Cost::default(), 7, 400, gpu).0, 7, "all rows there are");
    }

    #[test]
    fn a_device_whose_time_is_proportional_gets_short_calls() {
        let (chosen, used) = settle(&mut Cost::default(), 64, 400, |rows, _| 0.03 * rows as f64);
        assert_eq!(chosen, 1);
        assert!(used.keys().all(|rows| *rows <= 3), "nothing was to be gained: {used:?}");
    }

    #[test]
    fn a_batch_that_outgrows_its_cache_is_left_alone() {
        let seconds = |rows: usize, _: u64| 0.01 + rows as f64 * if rows > 4 { 0.02 } else { 0.01 };
        let (chosen, used) = settle(&mut Cost::default(), 64, 800, seconds);
        assert_eq!(chosen, 4);
        assert!(used[&4] > 700, "{used:?}");
    }

    #[test]
    fn a_call_is_no_longer_than_it_may_be_unless_one_row_is() {
        let seconds = |rows: usize, _: u64| 0.9 + 0.3 * rows as f64;
        let (chosen, used) = settle(&mut Cost::default(), 64, 400, seconds);
        assert_eq!(chosen, 3, "{used:?}");
        let (chosen, used) = settle(&mut Cost::default(), 64, 100, |rows, _| 3. + rows as f64);
        assert_eq!((chosen, used.len()), (1, 1), "{used:?}");
    }

    #[test]
    fn noise_and_slow_first_calls_do_not_mislead() {
        let noisy = |rows: usize, call: u64| {
            let warming = if call.is_multiple_of(3) && call < 30 { 10. } else { 1. };
            let noise = 1. + 0.5 * (call as f64 * 12.9898).sin().abs().powi(8);
            (0.02 + 0.002 * rows as f64) * noise * warming
        };
        let (chosen, used) = settle(&mut Cost::default(), 16, 2000, noisy);
        assert!(chosen >= 12, "{used:?}");
    }

    #[test]
    fn a_device_that_changes_is_followed() {
        let mut cost = Cost::default();
        let steep = |rows: usize, _: u64| 0.01 * rows as f64;
        assert_eq!(settle(&mut cost, 8, 200, steep).0, 1);
        let flat = |rows: usize, _: u64| 0.01 + 0.001 * rows as f64;
        settle(&mut cost, 8, 2000, flat);
        assert!(settle(&mut cost, 8, 200, flat).0 >= 6);
    }

    #[test]
    fn rows_that_do_not_come_are_not_waited_for() {
        let mut cost = Cost::default();
        for _ in 0..100 {
            let wanted = cost.rows((1, 8), LONGEST);
            cost.observe(wanted.min(5), wanted, 0.01);
        }
        assert_eq!(cost.rows((1, 8), LONGEST), 4, "six never came together");
    }

    #[test]
    fn limits_are_kept_whatever_was_learnt() {
        let mut cost = Cost::default();
        settle(&mut cost, 64, 400, |_, _| 0.01);
        for most in 1..10 {
            assert!(cost.rows((1, most), LONGEST) <= most);
            assert_eq!(cost.rows((most, most), LONGEST), most);
        }
        assert_eq!(cost.rows((8, 3), LONGEST), 3);
        assert_eq!(cost.rows((0, 0), LONGEST), 1);
        assert_eq!(cost.seconds()[&64], 0.01);
    }

    #[test]
    fn candidates_grow_by_half_and_end_with_all() {
        assert_eq!(candidates(1, 13), [1, 2, 3, 4, 6, 8, 12, 13]);
        assert_eq!(candidates(1, 2), [1, 2]);
        assert_eq!(candidates(5, 9), [5, 6, 8, 9]);
        assert_eq!(candidates(4, 4), [4]);
    }
}
