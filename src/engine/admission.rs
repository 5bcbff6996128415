//! How many rows a call may have: as many as fit into memory, by the model's estimate before the call and by
//! experience after it.

use candle_core::Device;

use super::{EngineConfig, EngineError, free};
use crate::model::{Question, SegmentationModel};

/// The share of the host's free memory that calls may take: the rest is for pictures, and for other models.
const HOST_SHARE: f64 = 0.5;
/// The same of a GPU's, which holds little else.
const CARD_SHARE: f64 = 0.9;

/// Calls that have to go well before more rows are tried again after memory ran out. Doubled when that was in vain.
const FIRST_PAUSE: u64 = 256;
const LONGEST_PAUSE: u64 = 1 << 14;

/// Most rows of calls of one kind.
#[derive(Debug)]
pub(super) struct Admission {
    /// By configuration and estimate.
    most: usize,
    /// Also by experience.
    now: usize,
    /// Calls that went well since the last change.
    calm: u64,
    pause: u64,
    /// Whether the last change was upwards.
    raised: bool,
}

impl Admission {
    /// What `config` and the model's estimate admit.
    ///
    /// # Errors
    /// [`EngineError::Memory`] if not even one row fits into the memory that was configured. Where the limit is only a
    /// share of what is free, a single row is always admitted.
    pub(super) fn new(
        model: &dyn SegmentationModel,
        question: Question,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        let most = config.max_batch.max(1);
        let Some(row) = model.bytes_per_row(question).filter(|bytes| *bytes > 0) else {
            return Ok(Self::of(most));
        };
        let Some(limit) = config.memory.or_else(|| share(model.device())) else { return Ok(Self::of(most)) };
        let fit = limit / row;
        if fit == 0 && config.memory.is_some() {
            return Err(EngineError::Memory { row: row.div_ceil(1 << 20), limit: limit >> 20 });
        }
        Ok(Self::of(most.min(fit.max(1) as usize)))
    }

    fn of(most: usize) -> Self {
        Self { most, now: most, calm: 0, pause: FIRST_PAUSE, raised: false }
    }

    /// Most rows of the next call.
    pub(super) fn rows(&self) -> usize {
        self.now
    }

    /// A call of so many rows ran out of memory.
    pub(super) fn overflowed(&mut self, rows: usize) {
        if self.raised {
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        self.now = self.now.min(rows.div_ceil(2));
        (self.calm, self.raised) = (0, false);
    }

    /// A call went well. What shared the device's memory may be gone after a while: then twice the rows are tried.
    pub(super) fn fitted(&mut self) {
        self.calm += 1;
        if self.now < self.most && self.calm >= self.pause {
            self.now = (self.now * 2).min(self.most);
            (self.calm, self.raised) = (0, true);
        }
    }
}

fn share(device: &Device) -> Option<u64> {
    let share = if device.is_cpu() { HOST_SHARE } else { CARD_SHARE };
    Some((free::bytes(device)? as f64 * share) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::toy::Toy;

    fn admitted(bytes_per_row: Option<u64>, memory: Option<u64>) -> Result<usize, EngineError> {
        let toy = Toy { bytes_per_row, ..Toy::default() };
        let config = EngineConfig { max_batch: 8, memory, ..EngineConfig::default() };
        Ok(Admission::new(&toy, Question::Gradient, config)?.rows())
    }

    #[test]
    fn a_batch_that_cannot_fit_is_never_formed() {
        assert_eq!(admitted(Some(100), Some(350)).unwrap(), 3);
        assert_eq!(admitted(Some(1), Some(350)).unwrap(), 8, "not more than configured");
        assert_eq!(admitted(None, Some(1)).unwrap(), 8, "a model that cannot say is tried");
        let error = admitted(Some(3 << 20), Some(2 << 20)).unwrap_err().to_string();
        assert!(error.contains("3 MiB") && error.contains("2 MiB"), "{error}");
        assert_eq!(admitted(Some(u64::MAX), None).unwrap(), 1, "a share of what is free admits one row");
        assert_eq!(admitted(Some(1), None).unwrap(), 8);
    }

    #[test]
    fn what_did_not_fit_is_tried_again_after_a_while_and_then_more_rarely() {
        let mut admission = Admission::of(8);
        let calls_until_raised = |admission: &mut Admission| {
            let before = admission.rows();
            (1..).find(|_| {
                admission.fitted();
                admission.rows() > before
            })
        };
        admission.overflowed(8);
        admission.overflowed(4);
        assert_eq!(admission.rows(), 2);
        assert_eq!(calls_until_raised(&mut admission), Some(FIRST_PAUSE));
        assert_eq!(admission.rows(), 4);
        admission.overflowed(4);
        assert_eq!((admission.rows(), calls_until_raised(&mut admission)), (2, Some(2 * FIRST_PAUSE)));
        calls_until_raised(&mut admission);
        assert_eq!(admission.rows(), 8);
        (0..2 * LONGEST_PAUSE).for_each(|_| admission.fitted());
        assert_eq!(admission.rows(), 8);
    }
}
