//! The attacks that run in this process, so that one can be stopped at once.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::JobId;
use super::store::Lease;
use crate::engine::CancelToken;

/// Running attacks; clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Live(Arc<Mutex<Vec<(Lease, CancelToken)>>>);

/// An entry of [`Live`], taken out when dropped.
#[derive(Debug)]
pub(super) struct Entry {
    live: Live,
    lease: Lease,
}

impl Live {
    /// Lists an attack for as long as the answer is kept.
    pub(super) fn enter(&self, lease: &Lease, cancel: &CancelToken) -> Entry {
        self.lock().push((lease.clone(), cancel.clone()));
        Entry { live: self.clone(), lease: lease.clone() }
    }

    /// Stops an attack at its next question, if it runs here.
    pub(super) fn cancel(&self, job: JobId) {
        self.lock().iter().filter(|(lease, _)| lease.id == job).for_each(|(_, cancel)| cancel.cancel());
    }

    /// No invariant spans the lock, so a panic elsewhere leaves the list usable.
    fn lock(&self) -> MutexGuard<'_, Vec<(Lease, CancelToken)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.live.lock().retain(|(lease, _)| *lease != self.lease);
    }
}
