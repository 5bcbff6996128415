//! When jobs are expected to end, from the measured pace of their models.

use super::store::{Counts, Place};
use super::{Catalogue, Job, State};
use crate::attack::Pgd;

/// When a job is expected to begin and to end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The place in the queue; `None` unless queued.
    pub place: Option<Place>,
    /// Seconds until it ends, from the measured time of a step; `None` until one was measured, or if it has ended.
    pub eta_seconds: Option<f64>,
}

const LONGEST_PAUSE_SECONDS: f64 = 300.;

impl Estimate {
    /// `step_seconds` is the mean time between two answers of the job's model to whoever asks.
    pub(super) fn new(job: &Job, place: Option<Place>, step_seconds: Option<f64>) -> Self {
        let own = job.progress.step_seconds.or(step_seconds);
        let steps = job.spec.points();
        let eta_seconds = match job.state {
            State::Queued => step_seconds.map(|seconds| {
                let ahead = place.unwrap_or_default().steps_ahead;
                seconds * (ahead.saturating_add(steps)) as f64
            }),
            State::Running => own.map(|seconds| seconds * steps.saturating_sub(job.progress.step) as f64),
            State::Succeeded | State::Failed | State::Cancelled => None,
        };
        Self { place, eta_seconds }
    }
}

/// Seconds after which a caller who was turned away should ask again, from 1 to 300: the time in which a tenth of
/// the queue is done if its jobs are like the default attack. Later callers find a longer queue and wait longer,
/// so they do not all come back at once.
pub(super) fn retry_after_seconds(models: &Catalogue, counts: Counts) -> u64 {
    let slowest = models.all().iter().filter_map(|model| model.step_seconds).fold(0., f64::max);
    let points = (Pgd::default().steps + 1) as f64;
    (slowest * points * counts.queued as f64 / 10.).clamp(1., LONGEST_PAUSE_SECONDS).ceil() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::jobs::testing::{Service, config, quick, upload};

    #[tokio::test]
    async fn a_job_ends_after_those_ahead_of_it() {
        let service = Service::new(config()).await;
        let pgd = upload(json!({"method": "pgd", "steps": 9}), json!({}));
        let (_, second) = (service.queued(pgd).await, service.queued(quick()).await);
        let mut job = service.jobs.find(second).await.unwrap();
        assert_eq!(service.jobs.estimate(&job).await.unwrap().eta_seconds, None, "nothing was measured yet");
        service.jobs.hosts().find(None).unwrap().pace.answered(0.5, 1);
        let estimate = service.jobs.estimate(&job).await.unwrap();
        assert_eq!(estimate.place, Some(Place { jobs_ahead: 1, steps_ahead: 10 }));
        assert_eq!(estimate.eta_seconds, Some(0.5 * 12.));

        (job.state, job.progress.step) = (State::Running, 1);
        assert_eq!(Estimate::new(&job, None, Some(0.5)).eta_seconds, Some(0.5));
        job.progress.step_seconds = Some(2.);
        assert_eq!(Estimate::new(&job, None, Some(0.5)).eta_seconds, Some(2.));
        job.state = State::Failed;
        assert_eq!(Estimate::new(&job, None, Some(0.5)).eta_seconds, None);
    }

    #[tokio::test]
    async fn a_longer_queue_sends_callers_away_for_longer() {
        let service = Service::new(config()).await;
        let wait = |queued| retry_after_seconds(service.jobs.catalogue(), Counts { queued, ..Counts::default() });
        assert_eq!(wait(1000), 1);
        service.jobs.hosts().find(None).unwrap().pace.answered(0.125, 1);
        assert_eq!((wait(0), wait(100), wait(1_000_000)), (1, 52, 300));
    }
}
