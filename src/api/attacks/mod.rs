//! Attacks: submit, look, stop, repeat, fetch. One file per action.

mod artifacts;
mod control;
mod cursor;
mod events;
mod list;
mod resource;
mod submit;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::caller::Reader;
use super::extract::At;
use super::problem::{Always, Problem, Refused};
use crate::access::Principal;
use crate::jobs::{Job, JobError, JobId};
use resource::Attack;

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(submit::submit_attack, list::list_attacks))
        .routes(routes!(get_attack, control::delete_attack))
        .routes(routes!(control::cancel_attack))
        .routes(routes!(control::rerun_attack))
        .routes(routes!(events::attack_events))
        .routes(routes!(artifacts::list_artifacts))
        .routes(routes!(artifacts::get_artifact))
        .routes(routes!(artifacts::zip_artifacts))
}

/// Where an attack stands, and what came of it
#[utoipa::path(
    get,
    path = "/attacks/{id}",
    tag = "attacks",
    params(("id" = JobId, Path, description = "Name of the attack")),
    responses((status = 200, description = "The attack", body = Attack), Refused<404>, Always),
)]
async fn get_attack(
    State(app): State<App>,
    Reader(principal): Reader,
    At(id): At<JobId>,
) -> Result<Json<Attack>, Problem> {
    let job = visible(&app, &principal, id).await?;
    Ok(Json(Attack::of(&app, job).await?))
}

/// A job that the caller may know of.
async fn visible(app: &App, principal: &Principal, id: JobId) -> Result<Job, Problem> {
    let job = app.jobs.find(id).await?;
    if principal.sees(&job) { Ok(job) } else { Err(JobError::Absent.into()) }
}
