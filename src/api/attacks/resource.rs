//! An attack as it is answered.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::App;
use crate::api::problem::Problem;
use crate::evaluation::result::AttackResult;
use crate::jobs::{
    ArtifactRecord, Comparison, Estimate, Failure, Inputs, Job, JobId, JobSpec, Progress, Scores, State,
};

/// An attack: what was asked for, where it stands, what came of it. What has no value is null.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attack {
    /// Its name.
    id: JobId,
    /// Where it stands.
    state: State,
    /// Who submitted it.
    caller: String,
    /// The name of the model it runs on.
    model: String,
    /// What was asked for, defaults filled in.
    spec: JobSpec,
    /// The pictures it came with.
    inputs: Inputs,
    /// How often it was begun.
    attempt: u32,
    /// How often it may be begun.
    max_attempts: u32,
    /// Whether somebody asked it to stop.
    cancel_requested: bool,
    /// How far the current attempt is.
    progress: Progress,
    /// The place in the queue, while it waits.
    #[schema(required)]
    queue: Option<Queue>,
    /// Seconds until it is expected to end; null before the first measurement and after the end.
    #[schema(required)]
    eta_seconds: Option<f64>,
    /// The main numbers of the result.
    #[schema(required)]
    scores: Option<Scores>,
    /// All numbers of the result: `result.json` without its steps. Null in lists.
    #[schema(value_type = Option<AttackResult>, required)]
    result: Option<serde_json::Value>,
    /// The files of the result.
    artifacts: Vec<Artifact>,
    /// How the files compare with those of the attack that this one repeats.
    #[schema(required)]
    comparison: Option<Comparison>,
    /// The attack that this one repeats.
    #[schema(required)]
    rerun_of: Option<JobId>,
    /// Why there is no result, or why the last attempt gave none.
    #[schema(required)]
    failure: Option<Failure>,
    /// When it was submitted.
    created_at: DateTime<Utc>,
    /// When its current attempt began.
    #[schema(required)]
    started_at: Option<DateTime<Utc>>,
    /// When it ended.
    #[schema(required)]
    finished_at: Option<DateTime<Utc>>,
    /// Wall-clock time of the attack itself.
    #[schema(required)]
    duration_seconds: Option<f64>,
    /// Where to go from here.
    links: Links,
}

/// A place in the queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Queue {
    /// Queued attacks ahead.
    jobs_ahead: u64,
    /// Points that queued and running attacks ahead will still visit.
    steps_ahead: u64,
}

/// A file of a result.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Artifact {
    /// File name.
    name: String,
    /// Media type.
    content_type: String,
    /// Size.
    bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    sha256: String,
    /// Where to fetch it.
    href: String,
}

/// Addresses of an attack.
#[derive(Debug, Serialize, ToSchema)]
pub struct Links {
    /// The attack itself.
    #[serde(rename = "self")]
    this: String,
    /// What happens to it, as it happens.
    events: String,
    /// All its files as one.
    artifacts: String,
    /// Stops it.
    cancel: String,
    /// Repeats it.
    rerun: String,
}

impl Attack {
    /// The whole of a job.
    pub(super) async fn of(app: &App, job: Job) -> Result<Self, Problem> {
        let estimate = match job.state.is_final() {
            true => Estimate { place: None, eta_seconds: None },
            false => app.jobs.estimate(&job).await?,
        };
        Ok(Self::new(job, estimate))
    }

    /// The job as a line of a list: without its result.
    pub(super) async fn line(app: &App, job: Job) -> Result<Self, Problem> {
        Ok(Self { result: None, ..Self::of(app, job).await? })
    }

    fn new(job: Job, estimate: Estimate) -> Self {
        let artifacts = artifacts(&job);
        let outcome = job.outcome;
        let place = estimate.place.map(|place| Queue { jobs_ahead: place.jobs_ahead, steps_ahead: place.steps_ahead });
        Self {
            links: Links::of(job.id),
            id: job.id,
            state: job.state,
            caller: job.caller,
            model: job.model,
            spec: job.spec,
            inputs: job.inputs,
            attempt: job.attempt,
            max_attempts: job.max_attempts,
            cancel_requested: job.cancel_requested,
            progress: job.progress,
            queue: place,
            eta_seconds: estimate.eta_seconds,
            scores: outcome.as_ref().map(|outcome| outcome.scores),
            artifacts,
            comparison: outcome.as_ref().and_then(|outcome| outcome.comparison.clone()),
            duration_seconds: outcome.as_ref().map(|outcome| outcome.duration_seconds),
            result: outcome.map(|outcome| outcome.result),
            rerun_of: job.rerun_of,
            failure: job.failure,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// The files of a job, each with its address.
pub(super) fn artifacts(job: &Job) -> Vec<Artifact> {
    let records = job.outcome.iter().flat_map(|outcome| &outcome.artifacts);
    let linked = |ArtifactRecord { name, content_type, bytes, sha256 }: ArtifactRecord| Artifact {
        href: format!("{}/artifacts/{name}", address(job.id)),
        name,
        content_type,
        bytes,
        sha256,
    };
    records.cloned().map(linked).collect()
}

/// Where an attack is found.
pub(super) fn address(id: JobId) -> String {
    format!("/attacks/{id}")
}

impl Links {
    fn of(id: JobId) -> Self {
        let this = address(id);
        Self {
            events: format!("{this}/events"),
            artifacts: format!("{this}/artifacts.zip"),
            cancel: format!("{this}/cancel"),
            rerun: format!("{this}/rerun"),
            this,
        }
    }
}
