//! The HTTP service: one file per resource, thin.
//!
//! The OpenAPI document is made from the handlers ([`document()`]); [`routes`] is what serves it. Everything that is
//! refused is a [`problem`].

mod attacks;
mod caller;
pub mod console;
mod document;
mod elsewhere;
mod examples;
mod extract;
mod file;
pub mod guard;
pub mod health;
mod methods;
mod models;
mod preference;
pub mod problem;
mod samples;
mod segmentations;
pub mod server;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod upload;
mod version;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRef, FromRequest, Request};
use axum::http::HeaderMap;
use reqwest::Client;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use document::document;

use crate::config::Config;
use crate::jobs::{JobError, Jobs};
use health::Operations;
use problem::{Kind, Problem};

/// Segmentations that are answered at once; others wait for their turn.
const SEGMENTATIONS: usize = 2;

/// What all handlers share. Clones are the same.
#[derive(Debug, Clone)]
pub struct App {
    /// The jobs.
    pub jobs: Jobs,
    /// The settings.
    pub config: Arc<Config>,
    /// Ends streams and waits.
    pub shutdown: CancellationToken,
    operations: Operations,
    /// For what other processes answer.
    peers: Client,
    segmenting: Arc<Semaphore>,
}

impl App {
    /// A service on these jobs and their models.
    pub fn new(jobs: Jobs, config: Arc<Config>, operations: Operations) -> Self {
        let shutdown = operations.stop().clone();
        crate::tls::install();
        let segmenting = Arc::new(Semaphore::new(SEGMENTATIONS));
        Self { jobs, config, shutdown, operations, peers: Client::new(), segmenting }
    }

    /// A request, and what has to be sent to another process if this one holds no models.
    async fn copy_for_others(&self, request: Request) -> Result<(Request, Option<(HeaderMap, Bytes)>), Problem> {
        if !self.jobs.hosts().all().is_empty() {
            return Ok((request, None));
        }
        let (parts, body) = request.into_parts();
        let headers = parts.headers.clone();
        let body = Bytes::from_request(Request::from_parts(parts.clone(), body), &()).await;
        let body = body.map_err(|error| upload::unreadable(error.status(), &error.body_text()))?;
        Ok((Request::from_parts(parts, body.clone().into()), Some((headers, body))))
    }

    /// The problem of a request for a new job; says when to try again if the queue is full.
    async fn put_off(&self, error: JobError) -> Problem {
        let problem = Problem::from(error);
        match problem.kind() {
            Kind::QueueFull | Kind::CallerFull => problem.retry_after(self.jobs.retry_after_seconds().await),
            _ => problem,
        }
    }
}

impl FromRef<App> for Operations {
    fn from_ref(app: &App) -> Self {
        app.operations.clone()
    }
}

/// The routes of a process that runs jobs and takes none: for its operator, and for processes that hold no models.
pub fn worker_routes(app: App) -> Router {
    let routes = OpenApiRouter::new().merge(health::routes()).merge(segmentations::routes());
    finished(routes.into(), app)
}

/// All routes, and their description. The guard goes around them.
pub fn routes(app: App) -> (Router, OpenApi) {
    let (router, document) = document::router().split_for_parts();
    (finished(document::shown(router, &document).merge(console::router()), app), document)
}

/// Routes with what holds for all: answers to what is none, and the bound of a body.
fn finished(routes: Router<App>, app: App) -> Router {
    let limit = usize::try_from(app.config.limits.body_bytes).unwrap_or(usize::MAX);
    routes
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(limit))
        .with_state(app)
}
