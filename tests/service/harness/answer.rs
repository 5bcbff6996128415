//! An answer, read to its end, and what must be true of every problem.

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use serde_json::Value;

/// An answer of the service.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// Sends a request and reads the answer to its end.
    pub async fn to(request: RequestBuilder) -> Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, body: response.bytes().await? })
    }

    /// The answer, if it has this status.
    pub fn with_status(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}, got {}: {}", self.status, self.excerpt());
        Ok(self)
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("not JSON: {}", self.excerpt()))
    }

    /// A header; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The answer as a problem document (RFC 9457), checked for what all of them have in common.
    pub fn problem(&self, status: u16, slug: &str) -> Result<Value> {
        ensure!(self.status == status, "expected {status} {slug}, got {}: {}", self.status, self.excerpt());
        let kind = self.header("content-type");
        ensure!(kind.starts_with("application/problem+json"), "content type is {kind:?}: {}", self.excerpt());
        let problem = self.json()?;
        ensure!(problem["type"] == format!("/problems/{slug}"), "expected {slug}: {problem}");
        ensure!(problem["status"] == status, "another status inside: {problem}");
        for field in ["title", "detail"] {
            ensure!(!text(&problem, field).trim().is_empty(), "no {field}: {problem}");
        }
        let request = self.header("x-request-id");
        ensure!(!request.is_empty() && problem["instance"] == request, "not of request {request:?}: {problem}");
        for error in problem["errors"].as_array().into_iter().flatten() {
            ensure!(!text(error, "detail").is_empty() && blame(error).is_ok(), "an unclear error: {problem}");
        }
        for inside in ["/tmp/", "src/", ".rs:", "panicked", "sqlx", "sqlite", "candle", "serde", "axum"] {
            ensure!(!problem.to_string().contains(inside), "{inside:?} is none of the caller's business: {problem}");
        }
        Ok(problem)
    }

    fn excerpt(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(600).collect()
    }
}

/// What a problem blames first: `/pointer`, `?parameter` or `header: Name`; nothing if it blames no field.
pub fn blamed(problem: &Value) -> Result<Option<String>> {
    problem["errors"].get(0).map(blame).transpose()
}

fn blame(error: &Value) -> Result<String> {
    match (&error["pointer"], &error["parameter"], &error["header"]) {
        (Value::String(pointer), Value::Null, Value::Null) => Ok(pointer.clone()),
        (Value::Null, Value::String(parameter), Value::Null) => Ok(format!("?{parameter}")),
        (Value::Null, Value::Null, Value::String(header)) => Ok(format!("header: {header}")),
        _ => bail!("one of pointer, parameter and header is needed: {error}"),
    }
}

/// A text field; empty if it is absent or no text.
pub fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}
