//! Answers of the guard itself, as problem documents (RFC 9457).

use std::any::Any;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::request_id::RequestId;

/// Why a request does not reach its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, slug: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, slug, title, detail: detail.into(), header: None }
    }

    fn retry_after(mut self, seconds: u64) -> Self {
        self.header = Some((RETRY_AFTER, seconds.into()));
        self
    }
}

/// No key, or none that is valid.
pub(super) fn unauthenticated() -> Refusal {
    let detail = "send a valid API key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`";
    let mut refusal = Refusal::new(StatusCode::UNAUTHORIZED, "unauthenticated", "A valid API key is needed", detail);
    refusal.header = Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
    refusal
}

/// Not from where the request comes.
pub(super) fn forbidden(detail: &str) -> Refusal {
    Refusal::new(StatusCode::FORBIDDEN, "forbidden", "The request is not allowed", detail)
}

/// Too many requests of one key.
pub(super) fn rate_limited(seconds: u64) -> Refusal {
    let detail = format!("there were too many requests in a minute: try again in {seconds} s");
    Refusal::new(StatusCode::TOO_MANY_REQUESTS, "rate-limited", "Too many requests", detail).retry_after(seconds)
}

/// Something that the service needs is not there for a moment.
pub(super) fn unavailable(detail: &str) -> Refusal {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Refusal::new(status, "unavailable", "The service is not available now", detail).retry_after(2)
}

/// The request was not received in time.
pub(super) fn received_too_slowly(seconds: u64) -> Refusal {
    let detail = format!("the body did not arrive within {seconds} s: send it faster or make it smaller");
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", "The request took too long", detail)
}

/// The answer was not ready in time.
pub(super) fn answered_too_slowly(seconds: u64) -> Refusal {
    let detail = format!("there was no answer within {seconds} s: try again later");
    Refusal::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "The answer took too long", detail)
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut problem = json!({
            "type": format!("/problems/{}", self.slug),
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(id) = RequestId::current() {
            problem["instance"] = id.as_str().into();
        }
        let mut response = (self.status, Json(problem)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().extend(self.header);
        response
    }
}

/// The answer to a request whose route panicked; what it said goes to the log only.
pub(super) fn of_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    tracing::error!(panic = text, "a route panicked");
    let detail = "an error inside the service: report it with the request id in `instance`";
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail).into_response()
}
