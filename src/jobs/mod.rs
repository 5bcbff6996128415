//! Attack jobs that outlive the process: what was asked for, where it stands, what came of it.
//!
//! ```text
//! queued ──claim──> running ──> succeeded | failed
//!   ^  └──cancel──────┬──────> cancelled
//!   └── device fault, lost lease, shutdown
//! ```
//!
//! A [`JobStore`](store::JobStore) is the only truth: every change of a running job names its lease
//! `(id, worker, attempt)`, so a worker that lost it cannot write over the next one's result. [`Jobs`] is what
//! the rest of the program talks to.

pub mod catalogue;
mod error;
mod estimate;
pub mod hosts;
mod inputs;
mod janitor;
pub mod job;
mod live;
pub mod service;
pub mod spec;
pub mod store;
mod submit;
#[cfg(test)]
pub(crate) mod testing;
mod worker;

pub use catalogue::Catalogue;
pub use error::JobError;
pub use estimate::Estimate;
pub use hosts::{Host, Hosts};
pub use job::{ArtifactRecord, Comparison, Failure, InputRecord, Inputs, Job, JobId, Outcome, Progress, Scores, State};
pub use service::{Changes, Jobs, Submission, Upload};
pub use spec::{JobSpec, SpecError};
pub use worker::Workers;
