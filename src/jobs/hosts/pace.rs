//! How fast a model answers, as an exponential mean: recent answers count most.

use std::sync::{Mutex, PoisonError};

/// The weight of a new answer; about the last forty count.
const WEIGHT: f64 = 0.05;

/// The mean time between two answers of a model to whoever asks.
#[derive(Debug, Default)]
pub struct Pace(Mutex<Option<f64>>);

impl Pace {
    /// Takes an answer into account: `seconds` since the last one to the same attack, while `rows` attacks shared
    /// the model.
    pub(crate) fn answered(&self, seconds: f64, rows: usize) {
        let seconds = seconds / rows.max(1) as f64;
        let mut mean = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *mean = Some(mean.map_or(seconds, |mean| mean + WEIGHT * (seconds - mean)));
    }

    /// Seconds; `None` before the first answer.
    pub fn seconds(&self) -> Option<f64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_follows_the_answers_and_is_shared_by_the_rows() {
        let pace = Pace::default();
        assert_eq!(pace.seconds(), None);
        pace.answered(0.8, 4);
        assert_eq!(pace.seconds(), Some(0.2));
        (0..500).for_each(|_| pace.answered(0.1, 1));
        assert!((pace.seconds().unwrap() - 0.1).abs() < 1e-6);
    }
}
