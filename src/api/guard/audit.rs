//! Writes the audit log: one line for each request that changes something or reads a file of a job.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::RequestPartsExt;
use axum::extract::{RawPathParams, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use chrono::Utc;

use super::observe::{CLIENT_LEFT, path};
use super::request_id::RequestId;
use crate::access::Principal;
use crate::access::audit::{AuditLine, AuditLog, AuditRecord};

/// Most characters of a part of an address.
const MOST_CHARACTERS: usize = 64;

/// Writes its line once dropped, and so also if the client leaves before the answer.
struct Entry {
    log: Arc<AuditLog>,
    line: AuditLine,
}

/// Audits a request.
pub(super) async fn layer(State(log): State<Arc<AuditLog>>, request: Request, next: Next) -> Response {
    let path = path(&request);
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) && !path.contains("/artifacts") {
        return next.run(request).await;
    }
    let action = format!("{} {path}", request.method());
    let (mut parts, body) = request.into_parts();
    let parameters = parts.extract::<RawPathParams>().await.ok();
    let parameter = |name: &str| {
        let mut all = parameters.iter().flatten();
        // A client may have written a novel there.
        all.find(|(key, _)| *key == name).map(|(_, value)| value.chars().take(MOST_CHARACTERS).collect())
    };
    let principal: Option<Principal> = parts.extensions.get().cloned();
    let mut entry = Entry {
        log,
        line: AuditLine {
            time: Utc::now(),
            request_id: parts.extensions.get().map(RequestId::as_str).unwrap_or_default().to_owned(),
            key: principal.as_ref().and_then(|principal| principal.key.clone()),
            caller: principal.map(|principal| principal.caller).unwrap_or_default(),
            action,
            job: parameter("id"),
            file: parameter("name"),
            inputs: BTreeMap::new(),
            status: CLIENT_LEFT,
        },
    };
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let record: AuditRecord = response.extensions_mut().remove().unwrap_or_default();
    entry.line.time = Utc::now();
    entry.line.status = response.status().as_u16();
    entry.line.inputs = record.inputs;
    entry.line.job = record.job.or(entry.line.job.take());
    response
}

impl Drop for Entry {
    fn drop(&mut self) {
        // A few hundred bytes into the page cache: not worth another thread.
        if let Err(error) = self.log.append(&self.line) {
            tracing::error!(%error, line = ?self.line, "the audit log cannot be written");
        }
    }
}
