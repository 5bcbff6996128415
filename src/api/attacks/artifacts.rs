//! The files of an attack.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::resource::{self, Artifact};
use super::visible;
use crate::access::Principal;
use crate::api::App;
use crate::api::caller::Reader;
use crate::api::extract::{At, Parameters};
use crate::api::file;
use crate::api::problem::{Always, Kind, Problem, Refused};
use crate::artifact::{Blob, bundle};
use crate::jobs::{Job, JobId, State as JobState};
use crate::report::manifest::sha256;

/// The files of an attack.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ArtifactList {
    /// The files.
    items: Vec<Artifact>,
}

/// How a file is sent.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DownloadQuery {
    /// With this parameter, whatever its value, a browser saves the file rather than showing it.
    #[param(nullable = false)]
    download: Option<String>,
}

/// List the files of a succeeded attack
#[utoipa::path(
    get,
    path = "/attacks/{id}/artifacts",
    tag = "artifacts",
    params(("id" = JobId, Path, description = "Name of the attack")),
    responses((status = 200, description = "The files", body = ArtifactList), Refused<404>, Refused<409>, Always),
)]
pub(super) async fn list_artifacts(
    State(app): State<App>,
    Reader(principal): Reader,
    At(id): At<JobId>,
) -> Result<Json<ArtifactList>, Problem> {
    let job = succeeded(&app, &principal, id).await?;
    Ok(Json(ArtifactList { items: resource::artifacts(&job) }))
}

/// Fetch a file of a succeeded attack
///
/// `adversarial.png` (or `.jpg`), `perturbation.png`, `mask_clean.png`, `mask_adversarial.png`, `overlay.png`,
/// `original.png`, `reference.png` (if a mask was given), `result.json`, `manifest.json`. The entity tag is the
/// file's SHA-256.
#[utoipa::path(
    get,
    path = "/attacks/{id}/artifacts/{name}",
    tag = "artifacts",
    params(
        ("id" = JobId, Path, description = "Name of the attack"),
        ("name" = String, Path, description = "Name of the file", example = "result.json"),
        DownloadQuery,
        ("Range" = Option<String>, Header, description = "One part of the file: `bytes=0-1023`", nullable = false),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has", nullable = false),
    ),
    responses(
        (status = 200, description = "The file", headers(("ETag" = String), ("Accept-Ranges" = String)), content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (serde_json::Value = "application/json"),
        )),
        (status = 206, description = "The part that was asked for", headers(("Content-Range" = String)), content(
            (Vec<u8> = "image/png"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "application/json"),
        )),
        (status = 304, description = "The client has the file"),
        Refused<404>, Refused<409>, Refused<416>, Refused<422>, Always,
    ),
)]
pub(super) async fn get_artifact(
    State(app): State<App>,
    Reader(principal): Reader,
    At((id, name)): At<(JobId, String)>,
    Parameters(query): Parameters<DownloadQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = succeeded(&app, &principal, id).await?;
    let absent = || Problem::new(Kind::NotFound, "the attack has no file of this name");
    let blob = app.jobs.artifact(&job, &name).await?.ok_or_else(absent)?;
    let response = file::respond(blob, &headers)?;
    Ok(if query.download.is_some() { file::as_download(response, &name) } else { response })
}

/// Fetch all files of a succeeded attack as one zip archive
#[utoipa::path(
    get,
    path = "/attacks/{id}/artifacts.zip",
    tag = "artifacts",
    params(("id" = JobId, Path, description = "Name of the attack")),
    responses(
        (status = 200, description = "The archive", body = Vec<u8>, content_type = "application/zip"),
        Refused<404>, Refused<409>, Always,
    ),
)]
pub(super) async fn zip_artifacts(
    State(app): State<App>,
    Reader(principal): Reader,
    At(id): At<JobId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = succeeded(&app, &principal, id).await?;
    let mut files: Vec<(String, Bytes)> = vec![];
    for artifact in job.outcome.iter().flat_map(|outcome| &outcome.artifacts) {
        let missing = format!("{} of attack {id} is listed but not stored", artifact.name);
        let blob = app.jobs.artifact(&job, &artifact.name).await?.ok_or_else(|| Problem::internal(&missing))?;
        files.push((artifact.name.clone(), blob.bytes));
    }
    let archive = tokio::task::spawn_blocking(move || {
        let bytes = bundle::zip(files);
        Blob { content_type: "application/zip".into(), sha256: sha256(&bytes), bytes: bytes.into() }
    });
    let response = file::respond(archive.await.map_err(|error| Problem::internal(&error))?, &headers)?;
    Ok(file::as_download(response, &format!("attack-{id}.zip")))
}

/// A job that has files.
async fn succeeded(app: &App, principal: &Principal, id: JobId) -> Result<Job, Problem> {
    let job = visible(app, principal, id).await?;
    if job.state == JobState::Succeeded {
        return Ok(job);
    }
    let detail = format!("the attack is {}: only a succeeded one has files", job.state.name());
    Err(Problem::new(Kind::Conflict, detail))
}
