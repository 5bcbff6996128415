//! What an engine has done so far.

use std::collections::BTreeMap;

/// Counters of an engine since it was spawned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Steps: rounds of gathering questions and answering them.
    pub steps: u64,
    /// Calls of the model by the number of rows they had, failed ones included.
    pub batches_by_rows: BTreeMap<usize, u64>,
    /// Batches halved because the device ran out of memory.
    pub halvings: u64,
    /// Most rows in one call of the model now; out of memory makes it smaller than configured.
    pub max_batch: usize,
    /// Questions left waiting when the last step began.
    pub queue: usize,
    /// Rows open now.
    pub rows: usize,
}

impl EngineStats {
    /// Calls of the model.
    pub fn batches(&self) -> u64 {
        self.batches_by_rows.values().sum()
    }

    /// Mean number of rows in a call of the model; zero before the first.
    pub fn mean_rows(&self) -> f64 {
        let rows: u64 = self.batches_by_rows.iter().map(|(rows, batches)| *rows as u64 * batches).sum();
        rows as f64 / self.batches().max(1) as f64
    }
}
