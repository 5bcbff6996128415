//! Reads a submission: some pictures and a spec, as a form or as JSON with base64.
//!
//! Both forms become the same [`Parts`], so all that follows knows only one, and all complaints point into the JSON
//! form: `/mask`, `/spec/prompt`.

mod body;
mod json;
mod multipart;
#[cfg(test)]
mod tests;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};

use super::problem::{Kind, Problem};

/// The part that holds the spec as JSON.
const SPEC: &str = "spec";

/// Most bytes of a spec: a thousand times the usual, and quickly parsed.
const MOST_SPEC_BYTES: usize = 64 << 10;

/// The parts of a request by name, each at most once.
#[derive(Debug)]
pub struct Parts {
    known: &'static [&'static str],
    found: Vec<(&'static str, Bytes)>,
}

impl Parts {
    /// Reads a request that may hold the files `known`, besides its spec. The router bounds the body's size.
    ///
    /// # Errors
    /// A problem that points to the part that is wrong.
    pub async fn read(request: Request, known: &'static [&'static str]) -> Result<Self, Problem> {
        let parts = Self { known, found: vec![] };
        match media_type(request.headers()).as_deref() {
            Some("multipart/form-data") => multipart::read(request, parts).await,
            Some("application/json") => {
                let body = Bytes::from_request(request, &()).await;
                let body = body.map_err(|e| unreadable(e.status(), &e.body_text()))?;
                // Megabytes of base64 take a while.
                let read = tokio::task::spawn_blocking(move || json::read(&body, parts));
                read.await.map_err(|error| Problem::internal(&error))?
            }
            _ => Err(Problem::new(
                Kind::UnsupportedMediaType,
                "send the request as multipart/form-data or as application/json",
            )
            .at_header("Content-Type")),
        }
    }

    /// Takes out a part that has to be there.
    ///
    /// # Errors
    /// A problem that points to it.
    pub fn required(&mut self, name: &'static str) -> Result<Bytes, Problem> {
        self.optional(name).ok_or_else(|| Problem::invalid(format!("/{name}"), format!("{name} is missing")))
    }

    /// Takes out the spec.
    ///
    /// # Errors
    /// A problem that points to it.
    pub fn spec(&mut self) -> Result<Bytes, Problem> {
        self.required(SPEC)
    }

    /// Takes out a part that may be missing.
    pub fn optional(&mut self, name: &'static str) -> Option<Bytes> {
        let at = self.found.iter().position(|(found, _)| *found == name)?;
        Some(self.found.swap_remove(at).1)
    }

    /// The known name, unless the part has come before.
    fn admit(&self, name: &str) -> Result<&'static str, Problem> {
        let Some(known) = self.known.iter().chain([&SPEC]).find(|known| **known == name) else {
            let known = self.known.join(", ");
            return Err(Problem::invalid(
                format!("/{}", escaped(name)),
                format!("this is not known: the parts are {known} and {SPEC}"),
            ));
        };
        if self.found.iter().any(|(found, _)| found == known) {
            return Err(Problem::invalid(format!("/{known}"), format!("{known} comes twice: send it once")));
        }
        Ok(known)
    }

    fn keep(&mut self, name: &'static str, bytes: Bytes) -> Result<(), Problem> {
        if name == SPEC {
            check_spec_length(bytes.len())?;
        }
        self.found.push((name, bytes));
        Ok(())
    }
}

fn check_spec_length(bytes: usize) -> Result<(), Problem> {
    if bytes <= MOST_SPEC_BYTES {
        return Ok(());
    }
    Err(Problem::new(Kind::PayloadTooLarge, format!("the spec has more than {MOST_SPEC_BYTES} bytes")).at("/spec"))
}

/// The media type in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A body that is too large or not what its header says.
pub(super) fn unreadable(status: StatusCode, reason: &str) -> Problem {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::PayloadTooLarge, "the request is larger than this service accepts")
        }
        _ => Problem::new(Kind::BadRequest, format!("the body cannot be read: {reason}")),
    }
}

/// A name as it stands in a JSON pointer (RFC 6901).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
