//! What the guard itself answers.

use std::any::Any;

use axum::http::HeaderValue;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};

use crate::api::problem::{Kind, Problem};

/// No key, or none that is valid.
pub(super) fn unauthenticated() -> Problem {
    let detail = "send a valid API key as `Authorization: Bearer KEY` or `X-Api-Key: KEY`";
    Problem::new(Kind::Unauthenticated, detail).with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// A token that is not good (RFC 6750); `why` ends a sentence that begins with `the token`.
pub(super) fn invalid_token(why: &'static str) -> Problem {
    let problem = Problem::new(Kind::Unauthenticated, format!("the token {why}: get a new one from its issuer"));
    let challenge = format!("Bearer error=\"invalid_token\", error_description=\"the token {why}\"");
    match HeaderValue::try_from(challenge) {
        Ok(challenge) => problem.with_header(WWW_AUTHENTICATE, challenge),
        Err(_) => problem.with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")),
    }
}

/// A good token whose subject may do nothing here.
pub(super) fn no_role() -> Problem {
    let detail = "the token is good, but holds no role that means something here: have one given to its subject";
    let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
    forbidden(detail).with_header(WWW_AUTHENTICATE, challenge)
}

/// Nobody can tell whether a token is good.
pub(super) fn issuer_away(retry_seconds: u64) -> Problem {
    let detail =
        "tokens cannot be checked now, because their issuer does not answer: try again later, or use an API key";
    unavailable(detail).retry_after(retry_seconds)
}

/// Not from where the request comes.
pub(super) fn forbidden(detail: &'static str) -> Problem {
    Problem::new(Kind::Forbidden, detail)
}

/// Too many requests of one key.
pub(super) fn rate_limited(seconds: u64) -> Problem {
    let detail = format!("there were too many requests in a minute: try again in {seconds} s");
    Problem::new(Kind::RateLimited, detail).retry_after(seconds)
}

/// Something that the service needs is not there for a moment.
pub(super) fn unavailable(detail: &'static str) -> Problem {
    Problem::new(Kind::Unavailable, detail)
}

/// The request was not received in time.
pub(super) fn received_too_slowly(seconds: u64) -> Problem {
    let detail = format!("the body did not arrive within {seconds} s: send it faster or make it smaller");
    Problem::new(Kind::ReceivedTooSlowly, detail)
}

/// The answer was not ready in time.
pub(super) fn answered_too_slowly(seconds: u64) -> Problem {
    Problem::new(Kind::AnsweredTooSlowly, format!("there was no answer within {seconds} s: try again later"))
}

/// The answer to a request whose route panicked; what it said goes to the log only.
pub(super) fn of_panic(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Problem::internal(&format_args!("a route panicked: {text}")).into_response()
}
