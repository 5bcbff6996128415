//! Wrong requests: each is answered with its own problem that names what is to blame.

mod requests;
mod spec;
mod uploads;

use anyhow::{Result, bail};
use reqwest::RequestBuilder;
use serde_json::json;

use crate::harness::{Answer, Checked, Service, blamed};

/// A wrong request and what it has to be answered.
struct Wrong {
    name: String,
    request: RequestBuilder,
    status: u16,
    slug: &'static str,
    /// `/pointer`, `?parameter` or `header: Name`; with `*` at its end also anything that starts so. Empty if
    /// no field is to blame.
    blames: &'static str,
}

/// A request that is refused with 422 because of a field.
fn invalid(name: impl Into<String>, request: RequestBuilder, blames: &'static str) -> Wrong {
    Wrong { name: name.into(), request, status: 422, slug: "invalid", blames }
}

/// A request that is refused for what it is as a whole.
fn refused(name: impl Into<String>, request: RequestBuilder, status: u16, slug: &'static str) -> Wrong {
    Wrong { name: name.into(), request, status, slug, blames: "" }
}

impl Wrong {
    /// The same, where a field is to blame.
    fn blaming(self, field: &'static str) -> Self {
        Self { blames: field, ..self }
    }

    async fn check(self) -> Result<()> {
        let problem = Answer::to(self.request).await?.problem(self.status, self.slug)?;
        let found = blamed(&problem)?.unwrap_or_default();
        let right = match self.blames.strip_suffix('*') {
            Some(start) => found.starts_with(start),
            None => found == self.blames,
        };
        if !right {
            bail!("blames {found:?} instead of {:?}: {problem}", self.blames);
        }
        Ok(())
    }
}

/// Sends all of them, tells all that were answered wrongly, and checks that none of them made a job.
async fn check_all(service: &Service, table: Vec<Wrong>) -> Checked {
    let mut faults = vec![];
    for wrong in table {
        let name = wrong.name.clone();
        if let Err(fault) = wrong.check().await {
            faults.push(format!("{name}: {fault:#}"));
        }
    }
    if !faults.is_empty() {
        bail!("{} wrong answers:\n{}", faults.len(), faults.join("\n"));
    }
    let jobs = service.client().get_json("/attacks").await?;
    if jobs["items"] != json!([]) {
        bail!("a wrong request made a job: {jobs}");
    }
    Ok(())
}
