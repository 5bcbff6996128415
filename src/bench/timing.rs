//! Seconds of a piece of work, taken several times.

use std::time::Instant;

use serde::Serialize;

/// Seconds of several runs of the same work.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Timing {
    /// The middle one, or the mean of the two in the middle.
    pub median_s: f64,
    /// The fastest.
    pub least_s: f64,
    /// The slowest.
    pub most_s: f64,
    /// How many there were.
    pub runs: usize,
}

impl Timing {
    /// Runs `work` once to warm up and then `runs` times (at least once); the first error ends it.
    ///
    /// # Errors
    /// That of `work`.
    pub fn of<E>(runs: usize, mut work: impl FnMut() -> Result<(), E>) -> Result<Self, E> {
        work()?;
        let seconds = (0..runs.max(1)).map(|_| {
            let began = Instant::now();
            work()?;
            Ok(began.elapsed().as_secs_f64())
        });
        Ok(Self::new(seconds.collect::<Result<_, E>>()?))
    }

    fn new(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let (least_s, most_s) = (seconds[0], seconds[seconds.len() - 1]);
        Self { median_s: median(&seconds), least_s, most_s, runs: seconds.len() }
    }
}

/// The value in the middle, or the mean of the two in the middle.
///
/// # Panics
/// If there is no value.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2. } else { sorted[middle] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3., 1., 2.]), 2.);
        assert_eq!(median(&[4., 1., 3., 2.]), 2.5);
        let timing = Timing::new(vec![0.3, 0.1, 0.9, 0.2]);
        assert_eq!((timing.median_s, timing.least_s, timing.most_s, timing.runs), (0.25, 0.1, 0.9, 4));
    }

    #[test]
    fn the_first_run_is_not_timed_and_an_error_ends_it() {
        let mut calls = 0;
        let mut count = || {
            calls += 1;
            if calls < 5 { Ok(()) } else { Err(calls) }
        };
        assert_eq!(Timing::of(3, &mut count).unwrap().runs, 3);
        assert_eq!(Timing::of(3, &mut count).unwrap_err(), 5);
    }
}
