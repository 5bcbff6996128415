//! Keeps pages of other sites away from a service that asks for no key.
//!
//! A browser on the same machine can reach a loopback address, whatever page it shows. Two ways are closed: a name of
//! an attacker that resolves to 127.0.0.1 (DNS rebinding) shows in `Host`; a request that a page sends across sites
//! shows in `Sec-Fetch-Site`, or in `Origin` where a browser is too old for it. Where keys are asked for, a browser has
//! none to send by itself, so nothing needs to be refused.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::refusal;
use crate::config::AccessMode;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    other_hosts: bool,
    other_sites: bool,
}

impl Rule {
    /// The rule of an access mode.
    pub fn of(mode: AccessMode) -> Self {
        Self { other_hosts: mode == AccessMode::Loopback, other_sites: mode != AccessMode::Keys }
    }

    /// Why a request is refused, if it is.
    fn refusal(self, request: &Request) -> Option<&'static str> {
        let host = host(request);
        if self.other_hosts && host.as_ref().is_some_and(|host| !is_local(host.host())) {
            return Some("this service answers to localhost, 127.0.0.1 and [::1] only");
        }
        let is_read = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
        let is_refused = self.other_sites && !is_read && is_foreign(request.headers(), host.as_ref());
        is_refused.then_some("pages of other sites may not change anything: use the console or a program")
    }
}

/// Lets a request through or answers it.
pub(super) async fn layer(State(rule): State<Rule>, request: Request, next: Next) -> Response {
    match rule.refusal(&request) {
        None => next.run(request).await,
        Some(detail) => refusal::forbidden(detail).into_response(),
    }
}

/// What the client thinks it talks to. One that cannot be read is nobody's name for this machine.
fn host(request: &Request) -> Option<Authority> {
    let unreadable = || Authority::from_static("unreadable");
    let header = request.headers().get(HOST).map(|host| host.as_bytes().try_into().unwrap_or_else(|_| unreadable()));
    request.uri().authority().cloned().or(header)
}

/// A number cannot be made to mean another machine, a name can.
fn is_local(host: &str) -> bool {
    let number: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    host.eq_ignore_ascii_case("localhost") || number.is_ok_and(|address| address.is_loopback())
}

/// Whether a page of another origin sent it. Programs send neither header.
fn is_foreign(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(ORIGIN) else { return false };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    origin.is_none() || origin != host.map(Authority::as_str)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn check(mode: AccessMode, method: Method, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/attacks");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Rule::of(mode).refusal(&request.body(Body::empty()).unwrap()).is_none()
    }

    #[test]
    fn an_open_loopback_answers_to_its_own_names_only() {
        let asked = |host| check(AccessMode::Loopback, Method::GET, &[("host", host)]);
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080", "127.8.9.1"] {
            assert!(asked(host), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8080", "192.168.0.1", "127.0.0.1.nip.io", "a b", ""] {
            assert!(!asked(host), "{host}");
        }
        assert!(check(AccessMode::OpenToEverybody, Method::GET, &[("host", "segprobe.lan")]));
    }

    #[test]
    fn pages_of_other_sites_change_nothing_without_a_key() {
        let host = ("host", "localhost:8080");
        for mode in [AccessMode::Loopback, AccessMode::OpenToEverybody] {
            let post = |header| check(mode, Method::POST, &[host, header]);
            for site in ["cross-site", "same-site"] {
                assert!(!post(("sec-fetch-site", site)), "{site}");
            }
            assert!(post(("sec-fetch-site", "same-origin")));
            assert!(post(("origin", "http://localhost:8080")));
            for origin in ["http://localhost:3000", "https://evil.example", "null"] {
                assert!(!post(("origin", origin)), "{origin}");
            }
            assert!(post(("user-agent", "curl")));
            assert!(check(mode, Method::GET, &[host, ("sec-fetch-site", "cross-site")]));
        }
        assert!(check(AccessMode::Keys, Method::POST, &[host, ("sec-fetch-site", "cross-site")]));
    }
}
