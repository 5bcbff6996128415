//! Keeps the store and the files tidy: lost jobs, old jobs, old keys, files that belong to nothing.
//!
//! Files are deleted by what the store says at that moment, never by what a worker remembers: a write that seemed to
//! fail may have been kept.

use std::str::FromStr;
use std::time::Duration;

use chrono::Utc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Job, JobError, JobId, Jobs, State};
use crate::artifact::layout;

/// How often lost jobs are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How often old jobs are looked for, from the start on.
const CLEAN: Duration = Duration::from_secs(3600);
/// How often files without a job are looked for. Not at the start: a database that was restored from an older backup, or is
/// the wrong one, knows no job of many files, and who started the process should find out first.
const SEARCH: Duration = Duration::from_secs(3600);
/// Files of a job that is younger may belong to a request whose row is not written yet.
const GRACE: Duration = Duration::from_secs(3600);
/// Jobs that are removed at once; the store is not held up for longer.
const PURGED_AT_ONCE: u32 = 100;

/// Works until the shutdown.
pub(super) async fn run(jobs: Jobs, shutdown: CancellationToken) {
    let (mut sweep, mut clean) = (tokio::time::interval(SWEEP), tokio::time::interval(CLEAN));
    let mut search = tokio::time::interval_at(tokio::time::Instant::now() + SEARCH, SEARCH);
    for interval in [&mut sweep, &mut clean, &mut search] {
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    }
    loop {
        let done = tokio::select! {
            () = shutdown.cancelled() => return,
            _ = sweep.tick() => sweep_lost(&jobs).await,
            _ = clean.tick() => forget_old(&jobs).await,
            _ = search.tick() => remove_strays(&jobs).await,
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the janitor tries again later");
        }
    }
}

async fn sweep_lost(jobs: &Jobs) -> Result<(), JobError> {
    let lost = jobs.store().sweep().await?;
    if lost > 0 {
        tracing::warn!(lost, "jobs whose last attempt was lost have ended");
        metrics::counter!("segprobe_jobs_total", "outcome" => "lost").increment(lost);
    }
    Ok(())
}

/// Removes what has been kept for long enough.
async fn forget_old(jobs: &Jobs) -> Result<(), JobError> {
    const HOUR: Duration = Duration::from_secs(3600);
    let config = jobs.queue_config();
    if config.keep_days > 0 {
        purge(jobs, 24 * HOUR * config.keep_days).await?;
    }
    jobs.store().forget_keys(HOUR * config.idempotency_hours).await?;
    Ok(())
}

/// Removes files that belong to nothing.
async fn remove_strays(jobs: &Jobs) -> Result<(), JobError> {
    remove_orphans(jobs, GRACE).await?;
    jobs.artifacts().remove_leftovers(GRACE).await?;
    Ok(())
}

/// Removes jobs that ended at least `age` ago, with their files.
async fn purge(jobs: &Jobs, age: Duration) -> Result<(), JobError> {
    loop {
        let purged = jobs.store().purge(age, PURGED_AT_ONCE).await?;
        for id in &purged {
            jobs.forget_files(*id).await;
        }
        if purged.is_empty() {
            return Ok(());
        }
        tracing::info!(jobs = purged.len(), "old jobs were removed");
    }
}

/// Deletes files of jobs that do not exist, if they would be older than `age`, and those of attempts that came to
/// nothing.
async fn remove_orphans(jobs: &Jobs, age: Duration) -> Result<(), JobError> {
    for above in [layout::all_inputs(), layout::all_attacks(), layout::all_checkpoints()] {
        for name in jobs.artifacts().below(&above).await? {
            // Other names are not ours to delete.
            let Ok(id) = JobId::from_str(&name) else { continue };
            if jobs.store().find(id).await?.is_none() && is_older(id.0, age) {
                tracing::info!(job = %id, "files without a job are deleted");
                jobs.artifacts().delete(&above.clone().join(name)).await?;
            }
        }
    }
    for name in jobs.artifacts().below(&layout::all_attacks()).await? {
        let Ok(id) = JobId::from_str(&name) else { continue };
        for attempt in jobs.artifacts().below(&layout::attacks(id.0)).await? {
            if let Ok(attempt) = attempt.parse() {
                discard(jobs, id, attempt).await?;
            }
        }
    }
    for name in jobs.artifacts().below(&layout::all_checkpoints()).await? {
        if let Ok(id) = JobId::from_str(&name) {
            discard_checkpoints(jobs, id).await?;
        }
    }
    Ok(())
}

/// Deletes the states of a job that has ended: nobody goes on with it.
pub(super) async fn discard_checkpoints(jobs: &Jobs, id: JobId) -> Result<(), JobError> {
    match jobs.store().find(id).await? {
        Some(job) if job.state.is_final() => Ok(jobs.artifacts().delete(&layout::checkpoints(id.0)).await?),
        _ => Ok(()),
    }
}

/// Deletes the files of an attempt if it came to nothing.
pub(super) async fn discard(jobs: &Jobs, id: JobId, attempt: u32) -> Result<(), JobError> {
    match jobs.store().find(id).await? {
        Some(job) if came_to_nothing(&job, attempt) => {
            Ok(jobs.artifacts().delete(&layout::attempt(id.0, attempt)).await?)
        }
        _ => Ok(()),
    }
}

/// Whether nobody needs the files of an attempt. One that is yet to come is needed: it may have
/// begun since the job was read.
fn came_to_nothing(job: &Job, attempt: u32) -> bool {
    let needed = matches!(job.state, State::Running | State::Succeeded);
    attempt < job.attempt || (attempt == job.attempt && !needed)
}

/// A job's name holds the time of its submission.
fn is_older(id: Uuid, age: Duration) -> bool {
    let Some(stamp) = id.get_timestamp() else { return false };
    let (seconds, _) = stamp.to_unix();
    let now = u64::try_from(Utc::now().timestamp()).unwrap_or(0);
    now.saturating_sub(seconds) >= age.as_secs()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::jobs::testing::{Service, config, quick};

    async fn put(service: &Service, prefix: object_store::path::Path) {
        service.jobs.artifacts().put(&prefix, "a.png", Bytes::from_static(b"a")).await.unwrap();
    }

    #[tokio::test]
    async fn files_without_a_job_go_once_they_are_old_and_others_stay() {
        let service = Service::new(config()).await;
        let (kept, absent) = (service.queued(quick()).await, JobId::new());
        let inputs = || async { service.jobs.artifacts().below(&layout::all_inputs()).await.unwrap() };
        put(&service, layout::inputs(absent.0)).await;
        put(&service, layout::attempt(absent.0, 1)).await;
        remove_orphans(&service.jobs, GRACE).await.unwrap();
        assert_eq!(inputs().await.len(), 2);
        remove_orphans(&service.jobs, Duration::ZERO).await.unwrap();
        assert_eq!(inputs().await, [kept.to_string()]);
        assert!(service.jobs.artifacts().below(&layout::all_attacks()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn attempts_that_came_to_nothing_go_and_the_published_one_stays() {
        let service = Service::new(config()).await;
        let _workers = service.start();
        let job = service.ended(service.queued(quick()).await).await;
        put(&service, layout::attempt(job.id.0, 0)).await;
        remove_strays(&service.jobs).await.unwrap();
        assert_eq!(service.jobs.artifacts().below(&layout::attacks(job.id.0)).await.unwrap(), ["1"]);
        assert!(service.jobs.artifact(&job, "overlay.png").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn old_jobs_go_with_their_files() {
        let service = Service::new(config()).await;
        let (ended, waits) = (service.queued(quick()).await, service.queued(quick()).await);
        service.jobs.cancel(ended).await.unwrap();
        purge(&service.jobs, GRACE).await.unwrap();
        assert!(service.jobs.find(ended).await.is_ok());
        purge(&service.jobs, Duration::ZERO).await.unwrap();
        assert!(matches!(service.jobs.find(ended).await, Err(JobError::Absent)));
        assert!(service.jobs.find(waits).await.is_ok());
        assert_eq!(service.jobs.artifacts().below(&layout::all_inputs()).await.unwrap(), [waits.to_string()]);
    }

    #[tokio::test]
    async fn a_deleted_job_takes_its_files_along() {
        let service = Service::new(config()).await;
        let _workers = service.start();
        let job = service.ended(service.queued(quick()).await).await;
        assert_eq!(service.jobs.delete(job.id).await.unwrap(), crate::jobs::store::Deleted::Done);
        assert!(service.jobs.artifacts().below(&layout::all_inputs()).await.unwrap().is_empty());
        assert!(service.jobs.artifacts().below(&layout::all_attacks()).await.unwrap().is_empty());
    }
}
