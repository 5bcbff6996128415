//! The guard around a few routes of its own.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Extension, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::access::audit::AuditRecord;
use crate::access::{Admission, Principal, Refusal, Scope};

const KEY: &str = "spk_abc_secret";

/// Knows one key, one that makes it fail, and tokens that are refused.
#[derive(Debug)]
struct OneKey;

#[async_trait]
impl Authority for OneKey {
    async fn admit(&self, key: &str) -> Result<Admission, Refusal> {
        match key {
            KEY => Ok(Admission {
                principal: Principal {
                    caller: "ward-7".into(),
                    key: Some("abc".into()),
                    scope: Scope::Runner,
                    max_unfinished: None,
                },
                requests_per_minute: Some(3),
            }),
            "broken" => Err(Refusal::Unavailable("/secret/path".into())),
            "expired.to.ken" => Err(Refusal::Token("has expired")),
            "powerless.to.ken" => Err(Refusal::NoRole),
            "early.to.ken" => Err(Refusal::IssuerAway { retry_seconds: 10 }),
            _ => Err(Refusal::Invalid),
        }
    }
}

async fn submit(body: Bytes) -> Response {
    let inputs = [("image".to_owned(), format!("sha256-of-{}", body.len()))].into();
    let record = AuditRecord { job: Some("new-job".into()), inputs };
    (StatusCode::ACCEPTED, Extension(record)).into_response()
}

fn routes() -> Router {
    Router::new()
        .route("/", get(|| async { "console" }))
        .route("/attacks", post(submit).get(|| async { "[]" }))
        .route("/attacks/{id}", get(|| async { "one" }).delete(|| async { StatusCode::NO_CONTENT }))
        .route("/attacks/{id}/artifacts/{name}", get(|| async { "pixels" }))
        .route("/kept", get(|| async { (AppendHeaders([("cache-control", "max-age=9")]), "") }))
        .route("/panic", get(panic_now))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(600)).await }))
        .route("/who", get(|Extension(who): Extension<Principal>| async move { who.caller }))
}

async fn panic_now() -> StatusCode {
    panic!("secret detail")
}

struct Service {
    app: Router,
    folder: tempfile::TempDir,
}

impl Service {
    fn new(mode: AccessMode) -> Self {
        Self::with(mode, |guard| guard)
    }

    fn with(mode: AccessMode, change: impl FnOnce(Guard) -> Guard) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        (config.access.mode, config.access.requests_per_minute) = (mode, 100);
        let audit = Arc::new(AuditLog::open(&folder.path().join("audit.jsonl")).unwrap());
        let guard = change(Guard::new(&config, Arc::new(OneKey), audit));
        Self { app: guard.around(routes()), folder }
    }

    async fn ask(&self, request: &str, headers: &[(&str, &str)], body: &'static str) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 9))));
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.into()).unwrap() }
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn problem(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        let problem: Value = serde_json::from_str(&self.text).unwrap();
        assert_eq!(problem["status"], self.status.as_u16());
        assert_eq!(problem["instance"], self.headers["x-request-id"].to_str().unwrap());
        problem
    }
}

fn bearer(key: &str) -> [(&'static str, String); 1] {
    [("authorization", format!("Bearer {key}"))]
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_the_clients_own_is_kept() {
    let service = Service::new(AccessMode::Loopback);
    let own = service.ask("GET /attacks", &[("x-request-id", "mine-1")], "").await;
    assert_eq!(own.headers["x-request-id"], "mine-1");
    let odd = service.ask("GET /nowhere", &[("x-request-id", "not mine")], "").await;
    assert_eq!(odd.status, StatusCode::NOT_FOUND);
    assert_eq!(odd.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn answers_and_refusals_tell_browsers_what_they_may_not_do() {
    let service = Service::new(AccessMode::Keys);
    for (request, status) in [("GET /", 200), ("GET /attacks", 401), ("GET /nowhere", 401)] {
        let answer = service.ask(request, &[], "").await;
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["x-frame-options"], "DENY");
        assert_eq!(answer.headers["cache-control"], "no-store");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
        assert!(!answer.headers.contains_key("access-control-allow-origin"));
    }
    let service = Service::new(AccessMode::Loopback);
    assert_eq!(service.ask("GET /kept", &[], "").await.headers["cache-control"], "max-age=9");
}

#[tokio::test]
async fn a_panic_is_a_problem_without_its_text() {
    let service = Service::new(AccessMode::Loopback);
    let answer = service.ask("GET /panic", &[], "").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.problem()["type"], "/problems/internal");
    assert!(!answer.text.contains("secret"), "{}", answer.text);
}

#[tokio::test]
async fn all_bad_keys_get_the_same_answer() {
    let service = Service::new(AccessMode::Keys);
    let attempts = [
        vec![],
        vec![("authorization", "Bearer spk_other_secret")],
        vec![("authorization", "Bearer")],
        vec![("authorization", "Basic c3BrX2FiY19zZWNyZXQ6")],
        vec![("x-api-key", "wrong")],
        vec![("authorization", "Bearer wrong"), ("x-api-key", KEY)],
    ];
    for headers in attempts {
        let answer = service.ask("GET /who", &headers, "").await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{headers:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let mut problem = answer.problem();
        problem["instance"].take();
        assert_eq!(problem["detail"], "send a valid API key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`");
    }
}

#[tokio::test]
async fn a_key_says_who_it_is_in_either_header() {
    for (name, value) in [("authorization", "bearer spk_abc_secret"), ("x-api-key", KEY)] {
        let answer = Service::new(AccessMode::Keys).ask("GET /who", &[(name, value)], "").await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, "ward-7"));
    }
    assert_eq!(Service::new(AccessMode::Loopback).ask("GET /who", &[], "").await.text, "local");
}

#[tokio::test]
async fn keys_that_cannot_be_checked_are_a_matter_of_time() {
    let [(name, value)] = bearer("broken");
    let answer = Service::new(AccessMode::Keys).ask("GET /who", &[(name, &value)], "").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after") && !answer.text.contains("secret"));
}

#[tokio::test]
async fn a_token_that_is_refused_is_told_why() {
    let service = Service::new(AccessMode::Keys);
    let expired = r#"Bearer error="invalid_token", error_description="the token has expired""#;
    let powerless = r#"Bearer error="insufficient_scope""#;
    for (token, status, kind, challenge) in [
        ("expired.to.ken", 401, "/problems/unauthenticated", Some(expired)),
        ("powerless.to.ken", 403, "/problems/forbidden", Some(powerless)),
        ("early.to.ken", 503, "/problems/unavailable", None),
    ] {
        let [(name, value)] = bearer(token);
        let answer = service.ask("GET /who", &[(name, &value)], "").await;
        assert_eq!((answer.status.as_u16(), &answer.problem()["type"]), (status, &kind.into()));
        let told = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap());
        assert_eq!(told, challenge);
        let wait = answer.headers.get("retry-after").map(|value| value.to_str().unwrap());
        assert_eq!(wait, (status == 503).then_some("10"));
    }
    assert!(service.audit().is_empty());
}

#[tokio::test]
async fn a_key_has_its_own_number_of_requests() {
    let service = Service::new(AccessMode::Keys);
    let [(name, value)] = bearer(KEY);
    for _ in 0..3 {
        assert_eq!(service.ask("GET /who", &[(name, &value)], "").await.status, StatusCode::OK);
    }
    let answer = service.ask("GET /who", &[(name, &value)], "").await;
    assert_eq!(answer.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.problem()["type"], "/problems/rate-limited");
    let seconds: u64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(service.ask("GET /", &[], "").await.status, StatusCode::OK);
}

#[tokio::test]
async fn other_sites_are_refused_without_keys() {
    let service = Service::new(AccessMode::Loopback);
    let answer = service.ask("POST /attacks", &[("sec-fetch-site", "cross-site")], "").await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.problem()["type"], "/problems/forbidden");
    assert!(service.audit().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_ended_unless_it_asked_to_wait() {
    let seconds = Duration::from_secs;
    let deadline = deadline::Deadline::new(seconds(60), seconds(6000));
    let service = Service::with(AccessMode::Loopback, |guard| Guard { deadline, ..guard });
    let answer = service.ask("GET /slow", &[], "").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(answer.problem()["type"], "/problems/timeout");
    let answer = service.ask("GET /slow", &[("prefer", "respond-async, wait=700")], "").await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_is_408() {
    let service = Service::new(AccessMode::Loopback);
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post("/attacks").header("host", "localhost").body(never).unwrap();
    let response = service.app.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}

#[tokio::test]
async fn large_bodies_need_a_seat_until_they_are_read() {
    let service = Service::with(AccessMode::Loopback, |guard| Guard { uploads: uploads::Seats::new(1), ..guard });
    let post = |body| Request::post("/attacks").header("host", "localhost").body(body).unwrap();
    let stalled = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let first = tokio::spawn(service.app.clone().oneshot(post(stalled)));
    tokio::task::yield_now().await;
    let large = || Body::from(vec![0u8; 100_000]);
    let refused = service.app.clone().oneshot(post(large())).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(service.ask("POST /attacks", &[], "small").await.status, StatusCode::ACCEPTED);
    first.abort();
    let _ = first.await;
    for _ in 0..2 {
        let accepted = service.app.clone().oneshot(post(large())).await.unwrap();
        assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    }
}

#[tokio::test]
async fn the_audit_log_says_who_did_what_and_no_secret() {
    let service = Service::new(AccessMode::Keys);
    let headers = [("x-api-key", KEY), ("x-request-id", "r-1")];
    service.ask("POST /attacks?prompt=secret-prompt", &headers, "secret-body").await;
    service.ask("GET /attacks/7", &headers, "").await;
    service.ask("GET /attacks/7/artifacts/mask_clean.png?x=secret-query", &headers, "").await;
    service.ask("DELETE /attacks/7", &[], "").await;
    let lines = service.audit();
    assert_eq!(lines.len(), 2, "reading a job and refusals are no entries: {lines:?}");
    let submitted = &lines[0];
    for (name, value) in [("caller", "ward-7"), ("key", "abc"), ("action", "POST /attacks"), ("request_id", "r-1")] {
        assert_eq!(submitted[name], value);
    }
    assert_eq!((&submitted["job"], &submitted["status"]), (&"new-job".into(), &202.into()));
    assert_eq!(submitted["inputs"]["image"], "sha256-of-11");
    assert_eq!(lines[1]["action"], "GET /attacks/{id}/artifacts/{name}");
    assert_eq!((&lines[1]["job"], &lines[1]["file"]), (&"7".into(), &"mask_clean.png".into()));
    let text = format!("{lines:?}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn a_client_that_leaves_is_audited_too() {
    let service = Service::new(AccessMode::Loopback);
    let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let request = Request::post("/attacks").header("host", "localhost").body(never).unwrap();
    let asked = tokio::spawn(service.app.clone().oneshot(request));
    tokio::task::yield_now().await;
    asked.abort();
    let _ = asked.await;
    assert_eq!(service.audit()[0]["status"], 499);
}
