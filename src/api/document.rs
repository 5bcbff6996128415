//! The OpenAPI document, made from the handlers, and the pages that show it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Extension;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::problem::{self, Refused};
use super::{App, attacks, health, methods, models, samples, segmentations, version};

/// What the handlers do not say.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Segprobe",
        description = "Stress-tests text-prompted medical image segmentation: how easily does the model break?\n\n\
            Submit an attack, follow its events, fetch its result. Errors are problem documents (RFC 9457) that point \
            to the field that is to blame.",
    ),
    servers((url = "/", description = "This service")),
    security((), ("bearer" = []), ("api_key" = []), ("token" = [])),
    tags(
        (name = "attacks", description = "Attacks as durable jobs: submit, follow, stop, repeat, delete."),
        (name = "artifacts", description = "The files of succeeded attacks."),
        (name = "segmentations", description = "What a model sees without an attack."),
        (name = "catalogue", description = "What there is to choose from: models, methods, samples."),
        (name = "service", description = "The service itself."),
        (name = "operations", description = "For whoever keeps it running."),
    ),
)]
struct Description;

/// The document as it is served.
#[derive(Clone)]
struct Served(Bytes);

/// The description of all routes.
pub fn document() -> utoipa::openapi::OpenApi {
    router().into_openapi()
}

/// All routes with their descriptions.
pub(super) fn router() -> OpenApiRouter<App> {
    let mut description = Description::openapi();
    let components = description.components.get_or_insert_default();
    components.schemas.extend(problem::schemas());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("spk_ID_SECRET");
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    let header = ApiKeyValue::with_description("X-Api-Key", "For clients that cannot set Authorization");
    components.add_security_scheme("api_key", SecurityScheme::ApiKey(ApiKey::Header(header)));
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT");
    let token = token.description(Some("A token of the OpenID Connect issuer, where the service has one"));
    components.add_security_scheme("token", SecurityScheme::Http(token.build()));
    OpenApiRouter::with_openapi(description)
        .merge(attacks::routes())
        .merge(segmentations::routes())
        .merge(models::routes())
        .merge(methods::routes())
        .merge(samples::routes())
        .merge(version::routes())
        .merge(health::routes())
        .routes(routes!(get_document))
}

/// Adds what shows the document: its JSON, and Swagger UI, which loads nothing from elsewhere.
pub(super) fn shown(router: Router<App>, document: &utoipa::openapi::OpenApi) -> Router<App> {
    let json = serde_json::to_vec(document).expect("a document of strings and numbers is JSON");
    let config = Config::new(["/openapi.json"]).try_it_out_enabled(true).display_request_duration(true);
    router.layer(Extension(Served(json.into()))).merge(SwaggerUi::new("/docs").config(config))
}

/// This document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "service",
    security(()),
    responses((status = 200, description = "The description of all routes", body = serde_json::Value), Refused<500>),
)]
async fn get_document(Extension(Served(json)): Extension<Served>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-cache")], json)
}
