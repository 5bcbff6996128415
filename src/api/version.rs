//! Which program answers.

use axum::Json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::problem::Refused;
use crate::report::manifest::Code;

/// The route of this resource.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(get_version))
}

/// Name, version and commit of the service
#[utoipa::path(
    get,
    path = "/version",
    tag = "service",
    security(()),
    responses((status = 200, description = "The program", body = Code), Refused<500>),
)]
async fn get_version() -> Json<Code> {
    Json(Code::this())
}
