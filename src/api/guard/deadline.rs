//! Ends requests that take too long.
//!
//! The clock stops when an answer begins, so event streams and downloads may take as long as they like. Who asked to
//! wait (`Prefer: wait`) gets that time on top.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;

use super::refusal;
use crate::config::ServerConfig;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// How long a request may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    usual: Duration,
    waiting: Duration,
}

impl Deadline {
    pub fn of(server: &ServerConfig) -> Self {
        let usual = Duration::from_secs(server.request_timeout_seconds);
        Self { usual, waiting: usual + Duration::from_secs(server.max_wait_seconds) }
    }

    #[cfg(test)]
    pub fn new(usual: Duration, waiting: Duration) -> Self {
        Self { usual, waiting }
    }
}

/// Answers 408 if the body, 504 if the answer was too slow.
pub(super) async fn layer(State(deadline): State<Deadline>, request: Request, next: Next) -> Response {
    let limit = if asks_to_wait(request.headers()) { deadline.waiting } else { deadline.usual };
    let (request, received) = watch(request);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) if received.load(Ordering::Relaxed) => refusal::answered_too_slowly(limit.as_secs()).into_response(),
        Err(_) => refusal::received_too_slowly(limit.as_secs()).into_response(),
    }
}

fn asks_to_wait(headers: &HeaderMap) -> bool {
    let asks =
        |text: &str| text.split([',', ';']).any(|part| part.trim_start().to_ascii_lowercase().starts_with("wait"));
    headers.get_all(PREFER).iter().any(|value| value.to_str().is_ok_and(asks))
}

/// Tells whether the whole body was read.
fn watch(request: Request) -> (Request, Arc<AtomicBool>) {
    let received = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    if received.load(Ordering::Relaxed) {
        return (request, received);
    }
    let end = received.clone();
    let note_end = futures_util::stream::poll_fn(move |_| {
        end.store(true, Ordering::Relaxed);
        std::task::Poll::Ready(None)
    });
    (request.map(|body| Body::from_stream(body.into_data_stream().chain(note_end))), received)
}
