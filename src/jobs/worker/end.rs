//! How an attempt ends, and the one write that says so.

use std::time::{Duration, Instant};

use super::attempt::Attempt;
use super::checkpoints::Checkpoints;
use crate::jobs::janitor::{discard, discard_checkpoints};
use crate::jobs::store::{Beat, StoreError};
use crate::jobs::{Failure, Outcome};

/// The first pause after a write that failed; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How an attempt ends.
#[derive(Debug)]
pub(super) enum End {
    /// With a result, whose files are written.
    Succeeded(Box<Outcome>),
    /// Without one.
    Failed {
        failure: Failure,
        /// Whether another attempt may end better.
        again: bool,
    },
    /// Because somebody asked.
    Cancelled,
    /// Because the service stops.
    HandedBack,
    /// Because the job belongs to somebody else now.
    Lost,
}

impl End {
    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            Self::Succeeded(_) | Self::Cancelled | Self::HandedBack | Self::Lost => None,
        }
    }
}

impl Attempt {
    /// Writes the end down, trying until the lease ends; what another attempt may not see is deleted.
    pub(super) async fn conclude(&self, end: End, began: Instant) {
        if matches!(end, End::Succeeded(_)) {
            // The row shows the last point too, and the lease is fresh for the write that counts.
            let progress = self.follow.progress();
            let beat = self.lifeline.beat(&self.pool, Some(&progress)).await;
            if beat == Some(Beat::Lost) {
                return self.close(&End::Lost, began).await;
            }
        }
        let mut pause = FIRST_PAUSE;
        loop {
            match self.write(&end).await {
                Ok(true) => return self.close(&end, began).await,
                Ok(false) => return self.close(&End::Lost, began).await,
                Err(error) if Instant::now() + pause < self.lifeline.until() => {
                    tracing::warn!(%error, outcome = self.outcome(&end), "the end of a job is written again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) => {
                    tracing::error!(%error, outcome = self.outcome(&end), "the end of a job could not be written");
                    return self.close(&End::Lost, began).await;
                }
            }
        }
    }

    async fn write(&self, end: &End) -> Result<bool, StoreError> {
        let (store, lease) = (self.pool.jobs.store(), &self.lease);
        match end {
            End::Succeeded(outcome) => store.succeed(lease, outcome).await,
            End::Failed { failure, again } => store.fail(lease, failure, again.then(|| self.retry_after())).await,
            End::Cancelled => store.stop(lease).await,
            End::HandedBack => store.hand_back(lease).await,
            End::Lost => Ok(false),
        }
    }

    /// The name in metrics and logs.
    fn outcome(&self, end: &End) -> &'static str {
        match end {
            End::Succeeded(_) => "succeeded",
            End::Failed { again: true, .. } if self.lease.attempt < self.job.max_attempts => "retried",
            End::Failed { .. } => "failed",
            End::Cancelled => "cancelled",
            End::HandedBack => "handed_back",
            End::Lost => "lost",
        }
    }

    /// Doubles with each attempt.
    fn retry_after(&self) -> Duration {
        let doublings = self.lease.attempt.saturating_sub(1).min(16);
        Duration::from_secs(self.pool.jobs.queue_config().retry_seconds.saturating_mul(1 << doublings))
    }

    async fn close(&self, end: &End, began: Instant) {
        let (outcome, seconds) = (self.outcome(end), began.elapsed().as_secs_f64());
        metrics::counter!("segprobe_jobs_total", "outcome" => outcome).increment(1);
        metrics::histogram!("segprobe_job_seconds").record(seconds);
        self.trace.end(outcome, end.failure());
        match end {
            End::Failed { failure, .. } => {
                // what a field of the request is blamed for may repeat it: that is the caller's, not the log's
                let detail = failure.pointer.is_none().then_some(&failure.detail);
                let pointer = &failure.pointer;
                tracing::warn!(outcome, code = failure.code, seconds, detail, pointer, "job ended");
            }
            _ => tracing::info!(outcome, seconds, "job ended"),
        }
        if !matches!(end, End::Succeeded(_))
            && let Err(error) = discard(&self.pool.jobs, self.lease.id, self.lease.attempt).await
        {
            tracing::warn!(%error, "files are left to the janitor");
        }
        if self.checkpoints.get().is_some_and(Checkpoints::are_used)
            && let Err(error) = discard_checkpoints(&self.pool.jobs, self.lease.id).await
        {
            tracing::warn!(%error, "checkpoints are left to the janitor");
        }
    }
}
