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

pub mod hosts;
pub mod job;
pub mod service;
pub mod spec;
pub mod store;

pub use hosts::{Host, Hosts};
pub use job::{ArtifactRecord, Comparison, Failure, InputRecord, Inputs, Job, JobId, Outcome, Progress, Scores, State};
pub use service::{Estimate, JobError, Jobs, Submission, Upload, View};
pub use spec::{GoalName, JobSpec, SpecError};
