//! A service with nothing to do, and short ways to look at answers.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::{Extension, Router};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::App;
use super::health::Operations;
use super::health::tests::Fake;
use crate::access::{Principal, Scope};
use crate::config::Config;
use crate::jobs::testing::Service;
use crate::telemetry::Metrics;

/// The routes as somebody with this scope finds them, with the demo model and no jobs.
pub(super) async fn service(scope: Scope) -> Router {
    let mut config = Config::default();
    config.limits.body_bytes = 300_000;
    let service = Service::new(config.clone()).await;
    let (metrics, ()) = Metrics::of(|_| ());
    let operations = Operations::new(Arc::new(Fake::default()), metrics, CancellationToken::new());
    let app = App::new(service.jobs.clone(), Arc::new(config), operations);
    super::routes(app)
        .0
        .layer(Extension(Principal { scope, ..Principal::without_key() }))
        .layer(Extension(Arc::new(service)))
}

/// What the service answers to an admin.
pub(super) async fn ask(request: Request<Body>) -> Response {
    service(Scope::Admin).await.oneshot(request).await.unwrap()
}

/// What the service answers to `GET path`.
pub(super) async fn get(path: &str) -> Response {
    ask(Request::get(path).body(Body::empty()).unwrap()).await
}

/// The body as JSON.
pub(super) async fn json(response: Response) -> Value {
    serde_json::from_slice(&to_bytes(response.into_body(), usize::MAX).await.unwrap()).unwrap()
}
