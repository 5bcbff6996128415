//! Who asks, and whether their key or token allows it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::problem::{Kind, Problem};
use crate::access::{Principal, Scope};
use crate::jobs::Job;

/// Somebody who may look at their jobs.
#[derive(Debug)]
pub struct Reader(pub Principal);

/// Somebody who may also start, stop and delete them.
#[derive(Debug)]
pub struct Runner(pub Principal);

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        principal(parts, Scope::Reader).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for Runner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        principal(parts, Scope::Runner).map(Self)
    }
}

impl Principal {
    /// Whether a job is theirs to look at; a foreign one does not exist for them.
    pub fn sees(&self, job: &Job) -> bool {
        self.scope >= Scope::Admin || self.caller == job.caller
    }
}

/// The guard has put the principal into the request, unless the address is open to everybody.
fn principal(parts: &Parts, needed: Scope) -> Result<Principal, Problem> {
    let unknown = || Problem::new(Kind::Unauthenticated, "send a valid API key or token");
    let principal = parts.extensions.get::<Principal>().ok_or_else(unknown)?;
    if principal.scope < needed {
        let detail = format!("this needs a key or token with the scope {}", needed.name());
        return Err(Problem::new(Kind::Forbidden, detail));
    }
    Ok(principal.clone())
}
