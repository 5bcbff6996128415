//! Questions that another process answers: one without models passes them on to a worker that holds the model.
//!
//! The worker asks for the same key as this process does, so the caller's credentials go along and nothing else
//! makes the two trust each other.

use axum::body::Bytes;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName};
use axum::response::{IntoResponse, Response};
use reqwest::Client;

use super::problem::{Kind, Problem};
use crate::jobs::catalogue::Offered;
use crate::telemetry::traces::TraceContext;

/// What goes along with a question.
const ASKED: [HeaderName; 4] =
    [CONTENT_TYPE, AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("x-request-id")];
/// What comes back with the answer.
const ANSWERED: [HeaderName; 2] = [CONTENT_TYPE, RETRY_AFTER];

/// Sends a `POST` to the worker that holds a model and answers what it answers.
///
/// # Errors
/// [`Kind::Unavailable`] if no such worker can be reached.
pub(super) async fn ask(
    client: &Client,
    model: &Offered,
    path: &str,
    (headers, body): (&HeaderMap, Bytes),
) -> Result<Response, Problem> {
    let gone = || Problem::new(Kind::Unavailable, "no worker holds this model now: try again later").retry_after(10);
    let Some(address) = model.address.as_deref().filter(|_| model.ready) else { return Err(gone()) };
    let mut request = client.post(format!("{}{path}", address.trim_end_matches('/'))).body(body);
    for name in ASKED {
        if let Some(value) = headers.get(&name) {
            request = request.header(name, value);
        }
    }
    if let Some(trace) = TraceContext::current() {
        request = request.headers(trace.headers());
    }
    let unreachable = |error: reqwest::Error| {
        tracing::warn!(model = model.name, %error, "a worker does not answer");
        gone()
    };
    let response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let headers: HeaderMap =
        ANSWERED.into_iter().filter_map(|name| Some((name.clone(), response.headers().get(&name)?.clone()))).collect();
    Ok((status, headers, response.bytes().await.map_err(unreachable)?).into_response())
}
