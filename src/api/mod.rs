//! The HTTP service: one file per resource, thin.
//!
//! The OpenAPI document is made from the handlers ([`document()`]); [`routes`] is what serves it. Everything that is
//! refused is a [`problem`].

mod attacks;
mod caller;
pub mod console;
mod document;
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
use axum::extract::{DefaultBodyLimit, FromRef};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;

pub use document::document;

use crate::config::Config;
use crate::jobs::{Hosts, JobError, Jobs};
use health::Operations;
use problem::{Kind, Problem};

/// Segmentations that are answered at once; others wait for their turn.
const SEGMENTATIONS: usize = 2;

/// What all handlers share. Clones are the same.
#[derive(Debug, Clone)]
pub struct App {
    /// The jobs.
    pub jobs: Jobs,
    /// The models.
    pub hosts: Hosts,
    /// The settings.
    pub config: Arc<Config>,
    /// Ends streams and waits.
    pub shutdown: CancellationToken,
    operations: Operations,
    segmenting: Arc<Semaphore>,
}

impl App {
    /// A service on these jobs and models.
    pub fn new((jobs, hosts): (Jobs, Hosts), config: Arc<Config>, operations: Operations) -> Self {
        let shutdown = operations.stop().clone();
        Self { jobs, hosts, config, shutdown, operations, segmenting: Arc::new(Semaphore::new(SEGMENTATIONS)) }
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

/// All routes, and their description. The guard goes around them.
pub fn routes(app: App) -> (Router, OpenApi) {
    let limit = usize::try_from(app.config.limits.body_bytes).unwrap_or(usize::MAX);
    let (router, document) = document::router().split_for_parts();
    let router = document::shown(router, &document)
        .merge(console::router())
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(limit))
        .with_state(app);
    (router, document)
}
