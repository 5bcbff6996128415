//! The workers: claim a job, run it, say that it is alive, publish what came of it.
//!
//! One task claims for all slots, so a change of the queue costs one look and not one per slot. Each job runs on a
//! thread of its own ([`attempt`]) beside a heartbeat ([`lifeline`]); whatever happens ends in one of the few
//! writes of [`end`], each of which names the lease.

mod attempt;
mod checkpoints;
mod end;
mod failure;
mod follow;
mod lifeline;
mod publish;
#[cfg(test)]
mod tests;
mod traced;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use super::store::Lease;
use super::{Job, Jobs, catalogue, hosts, janitor};
use crate::config::{Config, Role};
use attempt::Attempt;
use traced::Trace;

/// How often the queue is looked at when nothing in this process has changed it.
const POLL: Duration = Duration::from_secs(1);
/// The longest pause between two heartbeats.
const LONGEST_BEAT: Duration = Duration::from_millis(500);

/// The background of the service: workers, the janitor, and the revival of models.
#[derive(Debug)]
pub struct Workers {
    tasks: TaskTracker,
}

/// What all attempts share.
#[derive(Debug)]
struct Pool {
    jobs: Jobs,
    /// New with each start, so that a process does not take itself for its predecessor.
    name: String,
    lease: Duration,
    beat: Duration,
    /// Cancelled when running attempts have to be handed back.
    hand_back: CancellationToken,
}

impl Workers {
    /// Starts them on the present runtime, as far as the process's role asks for them; `shutdown` ends them.
    ///
    /// On shutdown no job is begun any more; those that run get the configured grace to end well, and are then
    /// handed back to the queue.
    pub fn start(jobs: Jobs, config: &Config, shutdown: CancellationToken) -> Self {
        let lease = Duration::from_secs(config.queue.lease_seconds.max(1));
        let pool = Arc::new(Pool {
            jobs: jobs.clone(),
            name: Uuid::now_v7().to_string(),
            lease,
            beat: LONGEST_BEAT.min(lease / 3),
            hand_back: CancellationToken::new(),
        });
        let grace = Duration::from_secs(config.server.shutdown_grace_seconds);
        let tasks = TaskTracker::new();
        if config.server.role != Role::Api {
            let address = (!config.server.advertise.is_empty()).then(|| config.server.advertise.clone());
            let name = (pool.name.clone(), address);
            tasks.spawn(catalogue::announce(jobs.shared_store(), jobs.hosts().clone(), name, shutdown.clone()));
            tasks.spawn(serve(pool, (config.queue.workers.max(1), grace), shutdown.clone()));
            tasks.spawn(hosts::keep_alive(jobs.hosts().clone(), shutdown.clone()));
        }
        tasks.spawn(janitor::run(jobs, shutdown));
        tasks.close();
        Self { tasks }
    }

    /// Waits until all have ended after a shutdown.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }
}

async fn serve(pool: Arc<Pool>, (workers, grace): (usize, Duration), shutdown: CancellationToken) {
    let running = TaskTracker::new();
    let slots = Arc::new(Semaphore::new(workers));
    let mut changes = pool.jobs.store().changes();
    while let Some(Ok(slot)) = shutdown.run_until_cancelled(slots.clone().acquire_owned()).await {
        changes.mark_unchanged();
        match pool.claim().await {
            Some((job, lease)) => {
                let trace = Trace::begin(&job);
                let (attempt, trace_id) = (lease.attempt, trace.id());
                let span = tracing::info_span!("job", id = %job.id, caller = %job.caller, attempt, trace_id);
                let attempt = Attempt::new(pool.clone(), job, lease, trace);
                running.spawn(
                    async move {
                        attempt.run().await;
                        drop(slot);
                    }
                    .instrument(span),
                );
            }
            None => {
                drop(slot);
                // Whether something changed, time passed or the service stops: the loop looks again.
                let _ = shutdown.run_until_cancelled(timeout(POLL, changed(&mut changes))).await;
            }
        }
    }
    running.close();
    if timeout(grace, running.wait()).await.is_err() {
        pool.hand_back.cancel();
        running.wait().await;
    }
}

async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        // The store tells no more changes; the poll goes on.
        std::future::pending().await
    }
}

impl Pool {
    /// The next job of a model that answers; `None` if there is none, or the store does not answer.
    async fn claim(&self) -> Option<(Job, Lease)> {
        let models = self.jobs.hosts().healthy();
        if models.is_empty() {
            return None;
        }
        let claimed = self.jobs.store().claim(&self.name, &models, self.lease).await;
        claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "no job can be claimed");
            None
        })
    }
}
