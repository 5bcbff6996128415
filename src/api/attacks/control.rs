//! Stops, repeats and deletes attacks.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse, Response};

use super::resource::{Attack, address};
use super::visible;
use crate::access::audit::AuditRecord;
use crate::api::App;
use crate::api::caller::Runner;
use crate::api::extract::At;
use crate::api::guard::request_id::RequestId;
use crate::api::problem::{Always, Kind, Problem, Refused};
use crate::jobs::store::{Cancelled, Deleted};
use crate::jobs::{JobError, JobId};
use crate::telemetry::traces;

/// Stop an attack
///
/// One that waits is cancelled at once. One that runs stops at its next step: follow its events or ask again.
#[utoipa::path(
    post,
    path = "/attacks/{id}/cancel",
    tag = "attacks",
    params(("id" = JobId, Path, description = "Name of the attack")),
    responses(
        (status = 200, description = "It waited and is cancelled", body = Attack),
        (status = 202, description = "It runs and will stop", body = Attack),
        Refused<404>, Refused<409>, Always,
    ),
)]
pub(super) async fn cancel_attack(
    State(app): State<App>,
    Runner(principal): Runner,
    At(id): At<JobId>,
) -> Result<(StatusCode, Json<Attack>), Problem> {
    visible(&app, &principal, id).await?;
    let (status, job) = match app.jobs.cancel(id).await? {
        Cancelled::Done(job) => (StatusCode::OK, job),
        Cancelled::Requested(job) => (StatusCode::ACCEPTED, job),
        Cancelled::TooLate(job) => {
            let detail = format!("the attack has ended already: it is {}", job.state.name());
            return Err(Problem::new(Kind::Conflict, detail));
        }
    };
    Ok((status, Json(Attack::of(&app, job).await?)))
}

/// Run a succeeded attack again
///
/// The same request on the same pictures; `comparison` will say whether the files have the same bytes.
#[utoipa::path(
    post,
    path = "/attacks/{id}/rerun",
    tag = "attacks",
    params(("id" = JobId, Path, description = "Name of the attack to repeat")),
    responses(
        (status = 202, description = "The new attack", body = Attack, headers(("Location" = String))),
        Refused<404>, Refused<409>, Refused<507>, Always,
    ),
)]
pub(super) async fn rerun_attack(
    State(app): State<App>,
    Runner(principal): Runner,
    At(id): At<JobId>,
) -> Result<Response, Problem> {
    visible(&app, &principal, id).await?;
    let request_id = RequestId::current().map(|id| id.as_str().to_owned());
    let job = match app.jobs.rerun(id, &principal.caller, request_id).await {
        Ok(job) => job,
        Err(error) => return Err(app.put_off(error).await),
    };
    traces::tell("segprobe.job.id", job.id);
    let audit = AuditRecord { job: Some(job.id.to_string()), ..AuditRecord::default() };
    let location = [(LOCATION, address(job.id))];
    let attack = Attack::of(&app, job).await?;
    Ok((StatusCode::ACCEPTED, location, axum::Extension(audit), Json(attack)).into_response())
}

/// Delete an attack that has ended, with its files
#[utoipa::path(
    delete,
    path = "/attacks/{id}",
    tag = "attacks",
    params(("id" = JobId, Path, description = "Name of the attack")),
    responses((status = 204, description = "It is gone"), Refused<404>, Refused<409>, Always),
)]
pub(super) async fn delete_attack(
    State(app): State<App>,
    Runner(principal): Runner,
    At(id): At<JobId>,
) -> Result<StatusCode, Problem> {
    visible(&app, &principal, id).await?;
    match app.jobs.delete(id).await? {
        Deleted::Done => Ok(StatusCode::NO_CONTENT),
        Deleted::NotFinal => Err(JobError::NotFinal.into()),
        Deleted::Absent => Err(JobError::Absent.into()),
    }
}
