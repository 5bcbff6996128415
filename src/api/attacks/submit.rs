//! Takes attacks in.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::resource::{Attack, address};
use crate::access::audit::AuditRecord;
use crate::access::{Principal, Scope};
use crate::api::App;
use crate::api::caller::Runner;
use crate::api::examples;
use crate::api::guard::request_id::RequestId;
use crate::api::preference::{Wait, idempotency_key};
use crate::api::problem::{Always, Kind, Problem, Refused};
use crate::api::upload::Parts;
use crate::jobs::store::Submitted;
use crate::jobs::{InputRecord, Job, JobError, JobSpec, Submission, Upload};
use crate::telemetry::traces;

const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

const FILES: &[&str] = &["image", "mask", "target_mask", "allowed_region", "perturbation"];

/// An attack as form data.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described here: the parts are read one by one")]
#[serde(deny_unknown_fields)]
pub(super) struct AttackForm {
    /// The image to attack: PNG, JPEG, TIFF or DICOM.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// What the model should answer: a mask of the image's size, white inside; the model's own answer if left out.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    mask: Option<Vec<u8>>,
    /// What the attacker wants the model to answer, for the goals `target` and `hallucinate`.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    target_mask: Option<Vec<u8>>,
    /// The pixels that may change; all if left out.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    allowed_region: Option<Vec<u8>>,
    /// What the method `universal` adds to the image: a file that `segprobe universal` has written, at most 16 MiB.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    perturbation: Option<Vec<u8>>,
    /// What to attack with, at most 64 KiB of JSON.
    spec: JobSpec,
}

/// An attack as JSON.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described here: the fields are read one by one")]
#[serde(deny_unknown_fields)]
pub(super) struct AttackRequest {
    /// The image to attack: PNG, JPEG, TIFF or DICOM, in base64.
    #[schema(content_encoding = "base64", min_length = 4)]
    image: String,
    /// What the model should answer: a mask of the image's size, white inside; the model's own answer if left out.
    #[schema(content_encoding = "base64", min_length = 4)]
    mask: Option<String>,
    /// What the attacker wants the model to answer, for the goals `target` and `hallucinate`.
    #[schema(content_encoding = "base64", min_length = 4)]
    target_mask: Option<String>,
    /// The pixels that may change; all if left out.
    #[schema(content_encoding = "base64", min_length = 4)]
    allowed_region: Option<String>,
    /// What the method `universal` adds to the image: a file that `segprobe universal` has written, at most 16 MiB.
    #[schema(content_encoding = "base64", min_length = 4)]
    perturbation: Option<String>,
    /// What to attack with.
    spec: JobSpec,
}

/// Submit an attack
///
/// The attack waits in a queue and runs on its own: follow its events, ask for it, or wait with `Prefer: wait=N`.
/// With an `Idempotency-Key` the same request can be sent again, after a broken connection for example, and makes no
/// second attack.
#[utoipa::path(
    post,
    path = "/attacks",
    tag = "attacks",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Your own name for this request", min_length = 1,
            max_length = 255, pattern = "^[!-~]+$", nullable = false),
        ("Prefer" = Option<String>, Header, description = "`wait=N` waits up to N seconds for the end",
            example = "wait=30", nullable = false),
    ),
    request_body(description = "The pictures and what to do with them", content(
        (AttackRequest = "application/json", examples(
            ("lungs" = (summary = "A very small X-ray phantom", value = json!(examples::attack()))),
        )),
        (AttackForm = "multipart/form-data"),
    )),
    responses(
        (status = 202, description = "The attack waits or runs", body = Attack, headers(
            ("Location" = String, description = "Where the attack is found"),
            ("Idempotency-Replayed" = String, description = "`true` if an earlier request had made the attack"),
            ("Preference-Applied" = String, description = "How long the answer waited at most"),
        )),
        (status = 200, description = "The attack ended while the answer waited", body = Attack, headers(
            ("Location" = String, description = "Where the attack is found"),
            ("Idempotency-Replayed" = String, description = "`true` if an earlier request had made the attack"),
            ("Preference-Applied" = String, description = "How long the answer waited at most"),
        )),
        Refused<400>, Refused<413>, Refused<415>, Refused<422>, Refused<507>, Always,
    ),
)]
pub(super) async fn submit_attack(
    State(app): State<App>,
    Runner(principal): Runner,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let submission = submission(&principal, &headers, request).await?;
    let (job, replayed) = match app.jobs.submit(submission).await {
        Ok(Submitted::Created(job)) => (job, false),
        Ok(Submitted::Replayed(job)) => (job, true),
        Err(error) => return Err(app.put_off(error).await),
    };
    let mut about = HeaderMap::new();
    about.insert(LOCATION, HeaderValue::try_from(address(job.id)).map_err(|error| Problem::internal(&error))?);
    if replayed {
        about.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
    traces::tell("segprobe.job.id", job.id);
    let audit = AuditRecord { job: Some(job.id.to_string()), inputs: hashes(&job) };
    let (status, job) = match Wait::of(&headers, &app.config.server) {
        None => (StatusCode::ACCEPTED, job),
        Some(wait) => {
            about.extend([wait.applied()]);
            let job = wait_for_end(&app, job, wait).await?;
            (if job.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED }, job)
        }
    };
    let attack = Attack::of(&app, job).await?;
    Ok((status, about, axum::Extension(audit), Json(attack)).into_response())
}

async fn submission(principal: &Principal, headers: &HeaderMap, request: Request) -> Result<Submission, Problem> {
    let idempotency_key = idempotency_key(headers)?;
    let mut parts = Parts::read(request, FILES).await?;
    let spec = JobSpec::from_json(&parts.spec()?)?;
    if spec.priority > 0 && principal.scope < Scope::Admin {
        let detail = "a priority above 0 needs a key or token with the scope admin";
        return Err(Problem::new(Kind::Forbidden, detail).at("/spec/priority"));
    }
    let upload = Upload {
        image: parts.required("image")?,
        mask: parts.optional("mask"),
        target_mask: parts.optional("target_mask"),
        allowed_region: parts.optional("allowed_region"),
        perturbation: parts.optional("perturbation"),
        spec,
    };
    Ok(Submission {
        caller: principal.caller.clone(),
        upload,
        idempotency_key,
        request_id: RequestId::current().map(|id| id.as_str().to_owned()),
        max_unfinished: principal.max_unfinished,
    })
}

/// The job once it has ended, or as it is when the time is over or the service shuts down.
async fn wait_for_end(app: &App, mut job: Job, wait: Wait) -> Result<Job, JobError> {
    let deadline = Instant::now() + wait.duration();
    let mut changes = app.jobs.changes();
    loop {
        job = app.jobs.find(job.id).await?;
        let change = app.shutdown.run_until_cancelled(changes.next());
        if job.state.is_final() || !matches!(timeout_at(deadline, change).await, Ok(Some(()))) {
            return Ok(job);
        }
    }
}

fn hashes(job: &Job) -> BTreeMap<String, String> {
    let inputs = &job.inputs;
    let others = [
        ("mask", &inputs.mask),
        ("target_mask", &inputs.target_mask),
        ("allowed_region", &inputs.allowed_region),
        ("perturbation", &inputs.perturbation),
    ];
    let others = others.into_iter().filter_map(|(role, record)| Some((role, record.as_ref()?)));
    let hash = |(role, record): (&str, &InputRecord)| (role.to_owned(), record.sha256.clone());
    others.chain([("image", &inputs.image)]).map(hash).collect()
}
