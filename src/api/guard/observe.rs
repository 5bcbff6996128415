//! A log line and two metrics for each request, by its route: never its query, headers or body.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::Empty;
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::request_id::RequestId;
use crate::access::Principal;
use crate::telemetry::names;
use crate::telemetry::traces::{self, TraceContext};

/// What stands for the status of an answer that nobody waited for.
pub(super) const CLIENT_LEFT: u16 = 499;

/// Routes that are asked all day long; that went well is not worth a line.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Tells what became of a request once dropped, and so also if the client leaves before the answer.
struct Observation {
    id: String,
    trace: Span,
    trace_id: Option<String>,
    method: &'static str,
    path: String,
    began: Instant,
    status: u16,
    caller: Option<String>,
}

/// Observes a request.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let id = request.extensions().get().map(RequestId::as_str).unwrap_or_default().to_owned();
    let (method, path) = (method(request.method()), path(&request));
    let trace = trace(method, &path, &id, request.headers());
    let trace_id = traces::trace_id(&trace);
    let span = tracing::info_span!("request", request_id = id, trace_id);
    let mut observation = Observation {
        id,
        trace: trace.clone(),
        trace_id,
        method,
        path,
        began: Instant::now(),
        status: CLIENT_LEFT,
        caller: None,
    };
    let response = next.run(request).instrument(trace).instrument(span).await;
    observation.status = response.status().as_u16();
    observation.caller = response.extensions().get().map(|who: &Principal| who.caller.clone());
    response
}

/// The span that stands for a request in its trace, which may be the caller's. Probes have none.
fn trace(method: &str, path: &str, id: &str, headers: &HeaderMap) -> Span {
    if PROBES.contains(&path) {
        return Span::none();
    }
    let span = tracing::info_span!(
        target: traces::TARGET,
        parent: None,
        "request",
        otel.name = format!("{method} {path}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = path,
        segprobe.request.id = id,
        http.response.status_code = Empty,
        otel.status_code = Empty,
    );
    if !span.is_disabled()
        && let Some(caller) = TraceContext::of(headers)
    {
        // fails only for a span that has begun already
        let _ = span.set_parent(caller.context());
    }
    span
}

/// The route that answers, `unmatched` without one: an address as it was asked for could hold anything.
pub(super) fn path(request: &Request) -> String {
    request.extensions().get().map_or("unmatched", MatchedPath::as_str).to_owned()
}

/// The method; clients may invent some, and metrics need a short list.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let Self { id, trace, trace_id, method, path, began, status, caller } = self;
        trace.record("http.response.status_code", *status);
        if *status >= StatusCode::INTERNAL_SERVER_ERROR.as_u16() {
            trace.record("otel.status_code", "ERROR");
        }
        let seconds = began.elapsed().as_secs_f64();
        let labels = [("method", (*method).to_owned()), ("path", path.clone())];
        metrics::histogram!(names::HTTP_SECONDS, &labels).record(seconds);
        let [method_label, path_label] = labels;
        let labels = [method_label, path_label, ("status", status.to_string())];
        metrics::counter!(names::HTTP_REQUESTS, &labels).increment(1);
        if PROBES.contains(&path.as_str()) && *status == StatusCode::OK.as_u16() {
            return;
        }
        let milliseconds = (seconds * 1e4).round() / 10.0;
        tracing::info!(method, path, status, milliseconds, caller, request_id = id, trace_id, "answered");
    }
}
