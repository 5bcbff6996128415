//! The models that can be attacked.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::caller::Reader;
use super::extract::At;
use super::problem::{Always, Kind, Problem, Refused};
use crate::jobs::catalogue::Offered;
use crate::model::{Architecture, Structure};

/// A resident model.
#[derive(Debug, Serialize, ToSchema)]
struct Model {
    /// What requests call it.
    id: String,
    /// Whether requests that name no model get this one.
    default: bool,
    /// Name of its checkpoint.
    name: String,
    /// Its size.
    architecture: Architecture,
    /// SHA-256 of the weights file, in lower-case hexadecimal.
    weights_sha256: String,
    /// SHA-256 of the adapter file, if there is one.
    adapter_sha256: Option<String>,
    /// What it was trained to find; empty if its folder does not say.
    structures: Vec<Structure>,
    /// Where it works: `cpu`, `cuda:0`, ...
    device: String,
    /// Whether it answers now.
    ready: bool,
    /// Mean seconds between two answers of the model to one attack; null before the first.
    #[schema(required)]
    step_seconds: Option<f64>,
}

/// All models.
#[derive(Debug, Serialize, ToSchema)]
struct ModelList {
    /// The default model first.
    items: Vec<Model>,
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_models)).routes(routes!(get_model))
}

/// List the models
#[utoipa::path(
    get,
    path = "/models",
    tag = "catalogue",
    responses((status = 200, description = "The models", body = ModelList), Always),
)]
async fn list_models(State(app): State<App>, _reader: Reader) -> Json<ModelList> {
    Json(ModelList {
        items: app.jobs.catalogue().all().iter().enumerate().map(|(i, model)| Model::of(model, i == 0)).collect(),
    })
}

/// One model
#[utoipa::path(
    get,
    path = "/models/{id}",
    tag = "catalogue",
    params(("id" = String, Path, description = "What requests call the model", example = "demo")),
    responses((status = 200, description = "The model", body = Model), Refused<404>, Always),
)]
async fn get_model(State(app): State<App>, _reader: Reader, At(id): At<String>) -> Result<Json<Model>, Problem> {
    let absent = || Problem::new(Kind::NotFound, "there is no such model: see GET /models");
    let models = app.jobs.catalogue().all();
    let at = models.iter().position(|model| model.name == id).ok_or_else(absent)?;
    Ok(Json(Model::of(&models[at], at == 0)))
}

impl Model {
    fn of(model: &Offered, default: bool) -> Self {
        let Offered { name, description, adapter_sha256, device, ready, step_seconds, .. } = model.clone();
        Self {
            id: name,
            default,
            name: description.name,
            architecture: description.architecture,
            weights_sha256: description.weights_sha256,
            adapter_sha256,
            structures: description.structures,
            device,
            ready,
            step_seconds,
        }
    }
}
