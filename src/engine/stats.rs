//! What an engine has done so far, and what it has learnt of its device.

use std::collections::BTreeMap;

use crate::model::Question;

/// Counters of an engine since it was spawned.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EngineStats {
    /// Steps: rounds of gathering questions and answering them.
    pub steps: u64,
    /// Calls of the model by the number of rows they had, failed ones included.
    pub batches_by_rows: BTreeMap<usize, u64>,
    /// Batches halved because the device ran out of memory.
    pub halvings: u64,
    /// What is known about calls of each kind; kinds that were never asked for are absent.
    pub calls: BTreeMap<Question, Calls>,
    /// Questions left waiting when the last step began.
    pub queue: usize,
    /// Rows open now.
    pub rows: usize,
}

/// What an engine has learnt about calls of one kind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calls {
    /// Rows that the last call waited for: the choice, or now and then a trial of another number.
    pub chosen_rows: usize,
    /// Most rows that memory admits now; running out of it makes it smaller for a while.
    pub most_rows: usize,
    /// Seconds of a call by its number of rows, the median of the last few.
    pub seconds_by_rows: BTreeMap<usize, f64>,
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
