//! A name for each request, in its answer, the log, the audit log and the job it made.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

/// The header of requests and answers.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Most characters of an id that a client may choose.
const MOST_CHARACTERS: usize = 64;

/// The name of a request; an extension of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

tokio::task_local! {
    static CURRENT: RequestId;
}

impl RequestId {
    /// The request that this task answers; `None` outside of one.
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Self::clone).ok()
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("an id is visible ASCII")
    }

    /// The client's own if it can go into a log as it is, else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let fits = |value: &&HeaderValue| {
            (1..=MOST_CHARACTERS).contains(&value.len()) && value.as_bytes().iter().all(u8::is_ascii_graphic)
        };
        let new = || HeaderValue::try_from(Uuid::now_v7().to_string()).expect("a UUID is visible ASCII");
        Self(headers.get(X_REQUEST_ID).filter(fits).cloned().unwrap_or_else(new))
    }
}

/// Names the request and its answer.
pub(super) async fn layer(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let mut response = CURRENT.scope(id.clone(), next.run(request)).await;
    response.headers_mut().insert(X_REQUEST_ID, id.0);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(id: &'static [u8]) -> bool {
        let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_bytes(id).unwrap())]);
        RequestId::of(&headers).as_str().as_bytes() == id
    }

    #[test]
    fn a_client_may_choose_what_a_log_can_hold() {
        assert!(taken(b"pipeline-7/42"));
        assert!(taken(&[b'x'; 64]));
        assert!(!taken(&[b'x'; 65]));
        assert!(!taken(b"two words"));
        assert!(!taken("\u{e4}".as_bytes()));
        assert!(!taken(b""));
    }
}
