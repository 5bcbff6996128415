//! The attack methods, each with a JSON Schema of its parameters: enough to build a form.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::caller::Reader;
use super::extract::At;
use super::problem::{Always, Kind, Problem, Refused};
use crate::attack::catalogue::{self, Method};

/// All methods.
#[derive(Debug, Serialize, ToSchema)]
struct MethodList {
    /// The methods, the quickest first.
    items: Vec<Method>,
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_methods)).routes(routes!(get_method))
}

/// List the attack methods
#[utoipa::path(
    get,
    path = "/attack-methods",
    tag = "catalogue",
    responses((status = 200, description = "The methods", body = MethodList), Always),
)]
async fn list_methods(_reader: Reader) -> Json<MethodList> {
    Json(MethodList { items: catalogue::methods() })
}

/// One attack method
#[utoipa::path(
    get,
    path = "/attack-methods/{method}",
    tag = "catalogue",
    params(("method" = String, Path, description = "Name of the method", example = "pgd")),
    responses((status = 200, description = "The method", body = Method), Refused<404>, Always),
)]
async fn get_method(_reader: Reader, At(name): At<String>) -> Result<Json<Method>, Problem> {
    let absent = || Problem::new(Kind::NotFound, "there is no such method: see GET /attack-methods");
    catalogue::methods().into_iter().find(|method| method.method == name).map(Json).ok_or_else(absent)
}
