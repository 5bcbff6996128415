//! Says who makes a request.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::rate::Allowance;
use super::refusal;
use crate::access::{self, Admission, Authority, Principal};
use crate::api::problem::Problem;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Who watches the service or reads its manual needs neither key nor token.
const OPEN_PATHS: [&str; 5] = ["/", "/healthz", "/readyz", "/version", "/openapi.json"];

/// Folders of files that come with the program.
const OPEN_FOLDERS: [&str; 3] = ["/console", "/docs", "/samples"];

/// Puts a [`Principal`] into the extensions of the request, and of its answer for the layers outside. An open path
/// gets none where keys are asked for.
pub(super) async fn layer(
    State(authority): State<Option<Arc<dyn Authority>>>,
    mut request: Request,
    next: Next,
) -> Response {
    let admission = match &authority {
        None => Admission { principal: Principal::without_key(), requests_per_minute: None },
        Some(_) if is_open(&request) => return next.run(request).await,
        Some(authority) => match admit(authority.as_ref(), request.headers()).await {
            Ok(admission) => admission,
            Err(refusal) => return refusal.into_response(),
        },
    };
    request.extensions_mut().insert(admission.principal.clone());
    request.extensions_mut().insert(Allowance(admission.requests_per_minute));
    let mut response = next.run(request).await;
    response.extensions_mut().insert(admission.principal);
    response
}

fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    let inside =
        |folder: &&str| path.strip_prefix(*folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    is_read && (OPEN_PATHS.contains(&path) || OPEN_FOLDERS.iter().any(inside))
}

async fn admit(authority: &dyn Authority, headers: &HeaderMap) -> Result<Admission, Problem> {
    let key = key(headers).ok_or_else(refusal::unauthenticated)?;
    authority.admit(key).await.map_err(|refusal| match refusal {
        access::Refusal::Invalid => refusal::unauthenticated(),
        access::Refusal::Unavailable(reason) => {
            tracing::error!(reason, "keys cannot be checked");
            refusal::unavailable("keys cannot be checked now: try again later")
        }
        access::Refusal::Token(why) => refusal::invalid_token(why),
        access::Refusal::NoRole => refusal::no_role(),
        access::Refusal::IssuerAway { retry_seconds } => refusal::issuer_away(retry_seconds),
    })
}

/// The key or token of a request; `Authorization` goes before `X-Api-Key`.
fn key(headers: &HeaderMap) -> Option<&str> {
    let Some(authorization) = headers.get(AUTHORIZATION) else {
        return headers.get(X_API_KEY)?.to_str().ok();
    };
    let (scheme, key) = authorization.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}
