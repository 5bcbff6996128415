//! Whether the service lives, whether it can work, and its numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::engine::EngineStats;
use crate::jobs::store::Counts;
use crate::telemetry::Metrics;

/// How long one check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// How long an answer holds: everybody may ask, and each check writes to a disk.
const KEEP: Duration = Duration::from_secs(1);

/// What an engine says of itself.
#[derive(Debug, Clone)]
pub struct EngineVitals {
    /// The model's name in requests.
    pub model: String,
    /// What it has done.
    pub stats: EngineStats,
    /// Why it does not answer any more.
    pub failure: Option<String>,
}

/// The parts that the service cannot work without. Reasons go to the log, never to a client.
#[async_trait]
pub trait Vitals: Send + Sync + std::fmt::Debug {
    /// Fails unless jobs can be stored.
    async fn store(&self) -> Result<(), String>;
    /// Fails unless files can be kept.
    async fn artifacts(&self) -> Result<(), String>;
    /// Jobs by state.
    async fn counts(&self) -> Result<Counts, String>;
    /// One for each model.
    fn engines(&self) -> Vec<EngineVitals>;
}

/// What the routes of this file work with. Clones are the same.
#[derive(Debug, Clone)]
pub struct Operations {
    vitals: Arc<dyn Vitals>,
    metrics: Metrics,
    stop: CancellationToken,
    last: Arc<Mutex<Option<(Instant, Readiness)>>>,
}

impl Operations {
    /// Reads `vitals` when asked; once `stop` is cancelled, the service is not ready.
    pub fn new(vitals: Arc<dyn Vitals>, metrics: Metrics, stop: CancellationToken) -> Self {
        Self { vitals, metrics, stop, last: Arc::default() }
    }

    /// Cancelled when the service ends.
    pub(super) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    async fn readiness(&self) -> Readiness {
        let mut last = self.last.lock().await;
        if let Some((when, readiness)) = last.as_ref()
            && when.elapsed() < KEEP
        {
            return readiness.clone();
        }
        let (store, artifacts) =
            tokio::join!(checked("store", self.vitals.store()), checked("artifacts", self.vitals.artifacts()));
        let models = self.vitals.engines().into_iter().map(|engine| {
            let state = verdict("model", engine.failure.map_or(Ok(()), Err));
            (engine.model, state)
        });
        let checks = Checks { store, artifacts, models: models.collect() };
        let readiness = Readiness { status: checks.all(), checks };
        *last = Some((Instant::now(), readiness.clone()));
        readiness
    }
}

/// The state of the service or of a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It works.
    Ok,
    /// It does not work now.
    Unavailable,
    /// It ends.
    ShuttingDown,
}

/// The process lives.
#[derive(Debug, Serialize, ToSchema)]
pub struct Liveness {
    status: Health,
}

/// Whether requests can be served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Readiness {
    status: Health,
    checks: Checks,
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Checks {
    /// Whether jobs can be stored.
    store: Health,
    /// Whether files can be kept.
    artifacts: Health,
    /// Whether each model answers.
    models: BTreeMap<String, Health>,
}

impl Checks {
    fn all(&self) -> Health {
        let mut all = [self.store, self.artifacts].into_iter().chain(self.models.values().copied());
        if all.all(|check| check == Health::Ok) { Health::Ok } else { Health::Unavailable }
    }
}

async fn checked(part: &str, check: impl Future<Output = Result<(), String>>) -> Health {
    let result = tokio::time::timeout(CHECK_TIMEOUT, check).await;
    verdict(part, result.unwrap_or_else(|_| Err("no answer in time".into())))
}

fn verdict(part: &str, result: Result<(), String>) -> Health {
    match result {
        Ok(()) => Health::Ok,
        Err(reason) => {
            tracing::warn!(part, reason, "not ready");
            Health::Unavailable
        }
    }
}

/// The routes of this file, for any state that holds [`Operations`].
pub fn routes<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    Operations: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(healthz)).routes(routes!(readyz)).routes(routes!(metrics))
}

/// Whether the process lives
///
/// Answers as long as it does. Restart it if it does not.
#[utoipa::path(get, path = "/healthz", tag = "operations", security(()),
    responses((status = 200, description = "The process lives", body = Liveness)))]
async fn healthz() -> Json<Liveness> {
    Json(Liveness { status: Health::Ok })
}

/// Whether requests can be served
///
/// Send no requests while it answers 503. Checks are repeated at most once a second.
#[utoipa::path(get, path = "/readyz", tag = "operations", security(()), responses(
    (status = 200, description = "Everything works", body = Readiness),
    (status = 503, description = "Something does not work, or the service ends", body = Readiness)))]
async fn readyz(State(operations): State<Operations>) -> impl IntoResponse {
    let mut readiness = operations.readiness().await;
    if operations.stop.is_cancelled() {
        readiness.status = Health::ShuttingDown;
    }
    let ready = readiness.status == Health::Ok;
    (if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(readiness))
}

/// Numbers for Prometheus
///
/// In its text format. Needs a key where keys are asked for.
#[utoipa::path(get, path = "/metrics", tag = "operations", responses(
    (status = 200, description = "All metrics", body = String, content_type = "text/plain")))]
async fn metrics(State(operations): State<Operations>) -> impl IntoResponse {
    let Operations { vitals, metrics, .. } = operations;
    match vitals.counts().await {
        Ok(Counts { queued, running, succeeded, failed, cancelled }) => metrics.sample_queue(&[
            ("queued", queued),
            ("running", running),
            ("succeeded", succeeded),
            ("failed", failed),
            ("cancelled", cancelled),
        ]),
        Err(reason) => tracing::warn!(reason, "the jobs cannot be counted"),
    }
    for engine in vitals.engines() {
        metrics.sample_engine(&engine.model, &engine.stats, engine.failure.is_none());
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    /// Parts that work, or do not.
    #[derive(Debug, Default)]
    pub(crate) struct Fake {
        pub broken_store: bool,
        pub broken_engine: bool,
        pub asked: AtomicUsize,
    }

    #[async_trait]
    impl Vitals for Fake {
        async fn store(&self) -> Result<(), String> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.broken_store { Err("secret path".into()) } else { Ok(()) }
        }
        async fn artifacts(&self) -> Result<(), String> {
            Ok(())
        }
        async fn counts(&self) -> Result<Counts, String> {
            Ok(Counts { queued: 3, ..Counts::default() })
        }
        fn engines(&self) -> Vec<EngineVitals> {
            let failure = self.broken_engine.then(|| "secret panic".to_owned());
            vec![EngineVitals { model: "demo".into(), stats: EngineStats::default(), failure }]
        }
    }

    fn app(fake: Fake) -> (Router, CancellationToken, Arc<Fake>) {
        let (metrics, ()) = Metrics::of(|_| ());
        let (fake, stop) = (Arc::new(fake), CancellationToken::new());
        let operations = Operations::new(fake.clone(), metrics, stop.clone());
        (routes().with_state(operations).split_for_parts().0, stop, fake)
    }

    async fn get(app: &Router, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(bytes.into()).unwrap())
    }

    #[tokio::test]
    async fn ready_means_that_every_part_works() {
        let (app, ..) = app(Fake::default());
        let (status, text) = get(&app, "/readyz").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(text, r#"{"status":"ok","checks":{"store":"ok","artifacts":"ok","models":{"demo":"ok"}}}"#);
    }

    #[tokio::test]
    async fn a_broken_part_is_named_without_its_reason_and_the_process_lives_on() {
        for fake in [Fake { broken_store: true, ..Fake::default() }, Fake { broken_engine: true, ..Fake::default() }] {
            let (app, ..) = app(fake);
            let (status, text) = get(&app, "/readyz").await;
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
            assert!(text.contains(r#":"unavailable""#) && !text.contains("secret"), "{text}");
            assert_eq!(get(&app, "/healthz").await, (StatusCode::OK, r#"{"status":"ok"}"#.into()));
        }
    }

    #[tokio::test]
    async fn a_service_that_ends_is_not_ready() {
        let (app, stop, _) = app(Fake::default());
        stop.cancel();
        let (status, text) = get(&app, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.starts_with(r#"{"status":"shutting_down""#), "{text}");
    }

    #[tokio::test]
    async fn asking_often_does_not_check_often() {
        let (app, _, fake) = app(Fake::default());
        for _ in 0..20 {
            get(&app, "/readyz").await;
        }
        assert!(fake.asked.load(Ordering::Relaxed) < 20);
    }
}
