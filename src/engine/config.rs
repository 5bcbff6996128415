//! What an operator may choose about an engine.

use std::time::Duration;

/// Limits of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Fewest rows that a call of the model waits for, if as many are open; zero counts as one.
    pub min_batch: usize,
    /// Most rows in one call of the model, whatever its device could take; zero counts as one. How many there are is
    /// chosen from measurements, see [`super::EngineStats`].
    pub max_batch: usize,
    /// Most rows open at once; one more is refused.
    pub max_rows: usize,
    /// How long a step waits for rows that have not asked yet.
    pub gather: Duration,
    /// A call of more than `min_batch` rows should not take longer: nobody is stopped or served before it ends.
    pub longest_call: Duration,
    /// Bytes that one call of the model may take beside the weights; a share of what is free if `None`.
    pub memory: Option<u64>,
}

impl Default for EngineConfig {
    /// Batches of up to 64, 256 rows, calls of up to 2 s. Two milliseconds to gather are little beside a step and
    /// much beside what an attack does between two.
    fn default() -> Self {
        Self {
            min_batch: 1,
            max_batch: 64,
            max_rows: 256,
            gather: Duration::from_millis(2),
            longest_call: Duration::from_secs(2),
            memory: None,
        }
    }
}
