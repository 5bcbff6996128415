//! What a trace shows of a job once a worker has it: how long it was queued, and each attempt with its parts.
//!
//! ```text
//! POST /attacks            of the process that took the request
//! ├─ queued                from the submission to the first attempt, by the database's clock
//! └─ attempt               one for each, with its outcome
//!    ├─ load               pictures from the store
//!    ├─ attack             all steps of the model, as a bounded number of events
//!    └─ publish            files into the store
//! ```
//!
//! Attempts are children of the request and not linked to it: a job has one request, and who follows that wants one
//! picture. None of these spans is entered, and the thread of the attack holds none, so an attempt ends in its trace
//! when it is given up, however long a device hangs.

use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer};
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::follow::Follow;
use crate::jobs::{Failure, Job};
use crate::telemetry::traces::{self, TARGET};

/// The span of an attempt, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Trace {
    attempt: Span,
}

impl Trace {
    /// Begins an attempt at a job that was just claimed.
    pub(super) fn begin(job: &Job) -> Self {
        let attempt = info_span!(
            target: TARGET,
            parent: None,
            "attempt",
            otel.kind = "consumer",
            segprobe.job.id = %job.id,
            segprobe.attempt = job.attempt,
            segprobe.model = job.model,
            segprobe.attack.method = job.spec.attack.method(),
            segprobe.attack.steps = job.spec.points(),
            segprobe.outcome = Empty,
            segprobe.failure.code = Empty,
            otel.status_code = Empty,
            otel.status_description = Empty,
        );
        if let Some(request) = job.trace.as_ref().filter(|_| !attempt.is_disabled()) {
            // fails only for a span that has begun already
            let _ = attempt.set_parent(request.context());
            if job.attempt == 1 {
                queued(job, &request.context());
            }
        }
        Self { attempt }
    }

    /// The name of the trace.
    pub(super) fn id(&self) -> Option<String> {
        traces::trace_id(&self.attempt)
    }

    /// While pictures are read.
    pub(super) fn load(&self) -> Span {
        info_span!(target: TARGET, parent: &self.attempt, "load")
    }

    /// While the attack asks the model; the steps are those that `follow` sees.
    pub(super) fn attack(&self, follow: &Follow) -> AttackSpan {
        let span = info_span!(
            target: TARGET,
            parent: &self.attempt,
            "attack",
            segprobe.steps = Empty,
            segprobe.step.mean_seconds = Empty,
            segprobe.batch.mean_rows = Empty,
        );
        AttackSpan { span, follow: follow.clone() }
    }

    /// While files are written.
    pub(super) fn publish(&self, files: usize) -> Span {
        info_span!(target: TARGET, parent: &self.attempt, "publish", segprobe.files = files)
    }

    /// Says how the attempt ended.
    pub(super) fn end(&self, outcome: &str, failure: Option<&Failure>) {
        self.attempt.record("segprobe.outcome", outcome);
        if let Some(failure) = failure {
            self.attempt.record("segprobe.failure.code", failure.code.as_str());
            self.attempt.record("otel.status_code", "ERROR");
            self.attempt.record("otel.status_description", failure.detail.as_str());
        }
    }
}

/// The steps of an attempt; tells what is known of them when dropped, also if they were given up.
#[derive(Debug)]
pub(super) struct AttackSpan {
    span: Span,
    follow: Follow,
}

impl Drop for AttackSpan {
    fn drop(&mut self) {
        if self.span.is_disabled() {
            return;
        }
        let progress = self.follow.progress();
        self.span.record("segprobe.steps", progress.step);
        if let Some(seconds) = progress.step_seconds {
            self.span.record("segprobe.step.mean_seconds", seconds);
        }
        if let Some(rows) = self.follow.mean_rows() {
            self.span.record("segprobe.batch.mean_rows", rows);
        }
        for seen in self.follow.milestones() {
            let attributes = vec![
                KeyValue::new("segprobe.step", i64::try_from(seen.step).unwrap_or(i64::MAX)),
                KeyValue::new("segprobe.loss", f64::from(seen.loss)),
                KeyValue::new("segprobe.dsc", seen.dsc),
                KeyValue::new("segprobe.batch.rows", i64::try_from(seen.rows).unwrap_or(i64::MAX)),
            ];
            self.span.add_event_with_timestamp("step", seen.at, attributes);
        }
    }
}

/// A span that lies in the past.
fn queued(job: &Job, request: &opentelemetry::Context) {
    let began = SystemTime::from(job.created_at);
    let ended = job.started_at.map_or_else(SystemTime::now, SystemTime::from).max(began);
    let tracer = opentelemetry::global::tracer(env!("CARGO_PKG_NAME"));
    let builder = tracer
        .span_builder("queued")
        .with_start_time(began)
        .with_attributes([KeyValue::new("segprobe.job.id", job.id.to_string())]);
    tracer.build_with_context(builder, request).end_with_timestamp(ended);
}
