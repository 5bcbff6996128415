//! What stands between the network and the routes. From the outside in, each layer with the reason for its place:
//!
//! ```text
//! request id    first, so that every answer has one, refusals too
//! observe       log line and metrics see the final status of everything below
//! headers       refusals are as safe in a browser as answers
//! origin        before keys: a page of another site learns nothing, not even whether a key is asked for
//! authenticate  says who it is, which all that follows goes by
//! rate limit    by key, so after it is known
//! uploads       bounds the memory that bodies take, before one is read
//! audit         only what got this far touches anything; it sees timeouts and panics of the routes as statuses
//! deadline      ends a request that takes too long
//! panic         last, so that a panic in a route is an answer like any other
//! ```

mod audit;
mod authenticate;
mod deadline;
mod headers;
mod observe;
mod origin;
mod rate;
mod refusal;
pub mod request_id;
#[cfg(test)]
mod tests;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::access::Authority;
use crate::access::audit::AuditLog;
use crate::config::{AccessMode, Config};

/// All layers, ready to be put around routes.
#[derive(Debug, Clone)]
pub struct Guard {
    origin: origin::Rule,
    authority: Option<Arc<dyn Authority>>,
    rates: Arc<rate::Rates>,
    uploads: uploads::Seats,
    audit: Arc<AuditLog>,
    deadline: deadline::Deadline,
}

impl Guard {
    /// The guard that the settings ask for; `authority` is asked only if keys are.
    pub fn new(config: &Config, authority: Arc<dyn Authority>, audit: Arc<AuditLog>) -> Self {
        Self {
            origin: origin::Rule::of(config.access.mode),
            authority: (config.access.mode == AccessMode::Keys).then_some(authority),
            rates: Arc::new(rate::Rates::new(config.access.requests_per_minute)),
            uploads: uploads::Seats::new(config.limits.uploads),
            audit,
            deadline: deadline::Deadline::of(&config.server),
        }
    }

    /// Puts the layers around `routes`.
    pub fn around(&self, routes: Router) -> Router {
        let Self { origin, authority, rates, uploads, audit, deadline } = self.clone();
        let layers = ServiceBuilder::new()
            .layer(from_fn(request_id::layer))
            .layer(from_fn(observe::layer))
            .layer(from_fn(headers::layer))
            .layer(from_fn_with_state(origin, origin::layer))
            .layer(from_fn_with_state(authority, authenticate::layer))
            .layer(from_fn_with_state(rates, rate::layer))
            .layer(from_fn_with_state(uploads, uploads::layer))
            .layer(from_fn_with_state(audit, audit::layer))
            .layer(from_fn_with_state(deadline, deadline::layer));
        routes.layer(CatchPanicLayer::custom(refusal::of_panic)).layer(layers)
    }

    /// Forgets the counts of those who have not asked for a while; to be called about once a minute.
    pub fn forget_idle(&self) {
        self.rates.forget_idle();
    }
}
