//! Errors as problem documents (RFC 9457): one shape for everything that is refused, whoever refuses it.
//!
//! Whatever a caller got wrong is named by a JSON pointer, a query parameter or a header. What went wrong inside
//! the service goes to the log; the answer has the request id that leads there.

mod convert;
mod documented;
mod kind;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use axum::Json;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

pub use documented::{Always, Refused, schemas};
pub use kind::Kind;

use super::guard::request_id::RequestId;

/// What `Content-Type` says of a problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Seconds after which something that was busy may be asked again.
const SHORT_PAUSE_SECONDS: u64 = 2;

/// Why a request was not done.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: Kind,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// A part of the request that is to blame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer from the root of the request's JSON form: `/spec/attack/steps`, `/mask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pointer: Option<String>,
    /// Name of a query parameter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    parameter: Option<String>,
    /// Name of a header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    header: Option<String>,
    /// What is wrong and what to do.
    detail: String,
}

/// What is wrong with a request, or why it was not done (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
struct Document<'a> {
    /// Names the kind of problem; never changes.
    #[serde(rename = "type")]
    #[schema(example = "/problems/invalid")]
    kind: String,
    /// The kind of problem for people.
    title: &'static str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong this time and what to do.
    detail: &'a str,
    /// The request id; the service's log has it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    instance: Option<String>,
    /// The fields that are to blame.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem of a kind; those that pass by themselves say when to try again.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let problem = Self { kind, detail: detail.into(), errors: vec![], headers: vec![] };
        match kind {
            Kind::QueueFull | Kind::CallerFull | Kind::RateLimited | Kind::Unavailable => {
                problem.retry_after(SHORT_PAUSE_SECONDS)
            }
            _ => problem,
        }
    }

    /// A field that cannot be used.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, detail).at(pointer)
    }

    /// A query parameter that cannot be used.
    pub fn parameter(name: impl Into<String>, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, detail).blame(|error| error.parameter = Some(name.into()))
    }

    /// A header that cannot be used.
    pub fn header(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, detail).at_header(name)
    }

    /// A fault of this program: its text goes to the log only.
    pub fn internal(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "a request failed");
        Self::new(Kind::Internal, "an error inside the service: report it with the request id in `instance`")
    }

    /// Something that the service needs is gone for a while: its text goes to the log only.
    pub fn unavailable(error: &dyn fmt::Display, detail: &'static str) -> Self {
        tracing::warn!(%error, "a request was put off");
        Self::new(Kind::Unavailable, detail)
    }

    /// The same with a field to blame.
    pub fn at(self, pointer: impl Into<String>) -> Self {
        self.blame(|error| error.pointer = Some(pointer.into()))
    }

    /// The same with a header to blame.
    pub fn at_header(self, name: &'static str) -> Self {
        self.blame(|error| error.header = Some(name.into()))
    }

    /// The same with other seconds to wait before the next attempt.
    pub fn retry_after(self, seconds: u64) -> Self {
        self.with_header(RETRY_AFTER, seconds.into())
    }

    /// The same with a header in the answer.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value));
        self
    }

    /// What kind of problem it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    fn blame(mut self, place: impl FnOnce(&mut FieldError)) -> Self {
        let mut error =
            FieldError { pointer: None, parameter: None, header: None, detail: self.detail.clone().into_owned() };
        place(&mut error);
        self.errors.push(error);
        self
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            kind: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: &self.detail,
            instance: RequestId::current().map(|id| id.as_str().to_owned()),
            errors: &self.errors,
        };
        let mut response = (self.kind.status(), Json(document)).into_response();
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response.headers_mut().extend(self.headers);
        response
    }
}

/// The answer at an address where nothing is.
pub async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "there is nothing at this address: see /docs/ for what there is")
}

/// The answer to a method that an address does not have; `Allow` is added by the router.
pub async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "this address does not have this method: see the header Allow")
}
