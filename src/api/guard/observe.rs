//! A log line and two metrics for each request, by its route: never its query, headers or body.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

use super::request_id::RequestId;
use crate::access::Principal;
use crate::telemetry::names;

/// What stands for the status of an answer that nobody waited for.
pub(super) const CLIENT_LEFT: u16 = 499;

/// Routes that are asked all day long; that went well is not worth a line.
const PROBES: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Tells what became of a request once dropped, and so also if the client leaves before the answer.
struct Observation {
    id: String,
    method: &'static str,
    path: String,
    began: Instant,
    status: u16,
    caller: Option<String>,
}

/// Observes a request.
pub(super) async fn layer(request: Request, next: Next) -> Response {
    let id = request.extensions().get().map(RequestId::as_str).unwrap_or_default().to_owned();
    let span = tracing::info_span!("request", request_id = id);
    let mut observation = Observation {
        id,
        method: method(request.method()),
        path: path(&request),
        began: Instant::now(),
        status: CLIENT_LEFT,
        caller: None,
    };
    let response = next.run(request).instrument(span).await;
    observation.status = response.status().as_u16();
    observation.caller = response.extensions().get().map(|who: &Principal| who.caller.clone());
    response
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
        let Self { id, method, path, began, status, caller } = self;
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
        tracing::info!(method, path, status, milliseconds, caller, request_id = id, "answered");
    }
}
