//! The names of all metrics, and what is said about each on `/metrics`.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Requests by `method`, `path` (the route, not what was asked for) and `status`.
pub const HTTP_REQUESTS: &str = "segprobe_http_requests_total";
/// Seconds until the head of an answer, by `method` and `path`.
pub const HTTP_SECONDS: &str = "segprobe_http_request_seconds";
/// Attempts of jobs by `outcome`.
pub const JOBS: &str = "segprobe_jobs_total";
/// Seconds of an attack.
pub const JOB_SECONDS: &str = "segprobe_job_seconds";
/// Seconds from a job's submission to its start.
pub const QUEUE_WAIT_SECONDS: &str = "segprobe_queue_wait_seconds";
/// Seconds from point to point of an attack.
pub const STEP_SECONDS: &str = "segprobe_step_seconds";
/// Jobs in the store by `state`.
pub const QUEUE_JOBS: &str = "segprobe_queue_jobs";
/// Attacks that have a row in the engine of `model`.
pub const ENGINE_ROWS: &str = "segprobe_engine_rows";
/// Calls of `model` by the number of `rows` they had.
pub const ENGINE_BATCHES: &str = "segprobe_engine_batches_total";
/// Rows that the last call of `model` for a `question` waited for.
pub const ENGINE_BATCH_ROWS: &str = "segprobe_engine_batch_rows";
/// Most rows that memory admits in a call of `model` for a `question`.
pub const ENGINE_MOST_ROWS: &str = "segprobe_engine_most_rows";
/// Seconds of a call of `model` for a `question` by its number of `rows`.
pub const ENGINE_CALL_SECONDS: &str = "segprobe_engine_call_seconds";
/// Calls of `model` that were halved because memory ran out.
pub const ENGINE_HALVINGS: &str = "segprobe_engine_halvings_total";
/// 1 while the engine of `model` answers, else 0.
pub const ENGINE_HEALTHY: &str = "segprobe_engine_healthy";
/// Questions to the OpenID Connect issuer for its keys, by `outcome`.
pub const OIDC_FETCHES: &str = "segprobe_oidc_fetches_total";
/// 1 while tokens of the OpenID Connect issuer can be checked, else 0.
pub const OIDC_READY: &str = "segprobe_oidc_ready";
/// Spans of traces by `outcome`: `sent`, or `lost` because the collector did not take them.
pub const SPANS: &str = "segprobe_spans_total";
/// Resident memory of the process in bytes.
pub const MEMORY_BYTES: &str = "segprobe_process_memory_bytes";

/// Bounds of the buckets of [`HTTP_SECONDS`].
pub const HTTP_BUCKETS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bounds of the buckets of [`JOB_SECONDS`] and [`QUEUE_WAIT_SECONDS`].
pub const JOB_BUCKETS: &[f64] = &[0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];
/// Bounds of the buckets of [`STEP_SECONDS`].
pub const STEP_BUCKETS: &[f64] = &[0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 15.0];

/// Tells the recorder that is installed what each name means.
pub(super) fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests by method, route and status");
    describe_histogram!(HTTP_SECONDS, Unit::Seconds, "Seconds until the head of an answer");
    describe_counter!(JOBS, "Attempts of jobs by outcome");
    describe_histogram!(JOB_SECONDS, Unit::Seconds, "Seconds of an attack");
    describe_histogram!(QUEUE_WAIT_SECONDS, Unit::Seconds, "Seconds from the submission of a job to its start");
    describe_histogram!(STEP_SECONDS, Unit::Seconds, "Seconds from point to point of an attack");
    describe_gauge!(QUEUE_JOBS, "Jobs in the store by state");
    describe_gauge!(ENGINE_ROWS, "Attacks that have a row in the engine");
    describe_counter!(ENGINE_BATCHES, "Calls of the model by the number of rows they had");
    describe_gauge!(ENGINE_BATCH_ROWS, "Rows that the last call of the model waited for");
    describe_gauge!(ENGINE_MOST_ROWS, "Most rows that memory admits in a call of the model");
    describe_gauge!(ENGINE_CALL_SECONDS, Unit::Seconds, "Seconds of a call of the model by its rows, recent median");
    describe_counter!(ENGINE_HALVINGS, "Calls that were halved because memory ran out");
    describe_gauge!(ENGINE_HEALTHY, "1 while the engine answers, else 0");
    describe_counter!(OIDC_FETCHES, "Questions to the OpenID Connect issuer for its keys by outcome");
    describe_gauge!(OIDC_READY, "1 while tokens of the OpenID Connect issuer can be checked, else 0");
    describe_counter!(SPANS, "Spans of traces by what became of them");
    describe_gauge!(MEMORY_BYTES, Unit::Bytes, "Resident memory of the process");
}
