//! What an operator may choose about an engine.

use std::time::Duration;

/// Limits of an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineConfig {
    /// Most rows in one call of the model; zero counts as one.
    pub max_batch: usize,
    /// Most rows open at once; one more is refused.
    pub max_rows: usize,
    /// How long a step waits for rows that have not asked yet.
    pub gather: Duration,
}

impl Default for EngineConfig {
    /// Batches of 8, 256 rows, 2 ms: little beside a step, much beside what an attack does between two.
    fn default() -> Self {
        Self { max_batch: 8, max_rows: 256, gather: Duration::from_millis(2) }
    }
}
