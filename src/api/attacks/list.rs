//! Lists attacks, page by page.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor;
use super::resource::Attack;
use crate::access::{Principal, Scope};
use crate::api::App;
use crate::api::caller::Reader;
use crate::api::extract::Parameters;
use crate::api::problem::{Always, Kind, Problem, Refused};
use crate::attack::catalogue;
use crate::jobs::State as JobState;
use crate::jobs::store::{Filter, Page};

const MOST_ITEMS: u32 = 100;
const USUAL_ITEMS: u32 = 20;

/// Which attacks to list. All conditions hold together.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only attacks in these states, separated by commas.
    #[param(value_type = Option<Vec<JobState>>, style = Form, explode = false, nullable = false, min_items = 1)]
    state: Option<String>,
    /// Only attacks on the model of this name.
    #[param(nullable = false)]
    model: Option<String>,
    /// Only attacks with this method, one of `GET /attack-methods`.
    #[param(nullable = false, schema_with = catalogue::name_schema)]
    method: Option<String>,
    /// Only attacks with this label, as `key:value`.
    #[param(nullable = false, pattern = "^[^:]+:.*$", example = "team:radiology")]
    label: Option<String>,
    /// Only attacks that were submitted after this time.
    #[param(nullable = false)]
    created_after: Option<DateTime<Utc>>,
    /// Only attacks that were submitted before this time.
    #[param(nullable = false)]
    created_before: Option<DateTime<Utc>>,
    /// Only attacks of this caller. Another caller than one's own needs the scope `admin`.
    #[param(nullable = false)]
    caller: Option<String>,
    /// Length of a page.
    #[param(nullable = false, minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    /// The `next_cursor` of the page before.
    #[param(nullable = false, pattern = "^[A-Za-z0-9_-]{21}[AQgw]$")]
    cursor: Option<String>,
}

/// A page of attacks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttackPage {
    /// The attacks, newest first.
    items: Vec<Attack>,
    /// Where the next page begins; null on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List attacks, newest first
#[utoipa::path(
    get,
    path = "/attacks",
    tag = "attacks",
    params(ListQuery),
    responses((status = 200, description = "A page of attacks", body = AttackPage), Refused<422>, Always),
)]
pub(super) async fn list_attacks(
    State(app): State<App>,
    Reader(principal): Reader,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Json<AttackPage>, Problem> {
    let limit = query.limit.unwrap_or(USUAL_ITEMS);
    if !(1..=MOST_ITEMS).contains(&limit) {
        return Err(Problem::parameter("limit", format!("the limit is {limit}: use 1 to {MOST_ITEMS}")));
    }
    let before = query.cursor.as_deref().map(cursor::read).transpose()?;
    let filter = query.filter(&principal)?;
    // One more than asked for tells whether there is another page.
    let mut jobs = app.jobs.list(&filter, Page { before, limit: limit + 1 }).await?;
    let more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let next_cursor = jobs.last().filter(|_| more).map(|job| cursor::write(job.id));
    let mut items = Vec::with_capacity(jobs.len());
    for job in jobs {
        items.push(Attack::line(&app, job).await?);
    }
    Ok(Json(AttackPage { items, next_cursor }))
}

impl ListQuery {
    fn filter(self, principal: &Principal) -> Result<Filter, Problem> {
        Ok(Filter {
            caller: caller(self.caller, principal)?,
            states: self.state.as_deref().map(states).transpose()?.unwrap_or_default(),
            model: self.model,
            method: self.method.map(method).transpose()?,
            label: self.label.as_deref().map(label).transpose()?,
            created_after: self.created_after,
            created_before: self.created_before,
        })
    }
}

/// Everybody sees their own, admins all.
fn caller(asked: Option<String>, principal: &Principal) -> Result<Option<String>, Problem> {
    match asked {
        asked if principal.scope >= Scope::Admin => Ok(asked),
        Some(other) if other != principal.caller => {
            Err(Problem::new(Kind::Forbidden, "the attacks of other callers need a key or token with the scope admin"))
        }
        _ => Ok(Some(principal.caller.clone())),
    }
}

fn states(names: &str) -> Result<Vec<JobState>, Problem> {
    let find = |name: &str| JobState::ALL.into_iter().find(|state| state.name() == name);
    let found: Option<Vec<_>> = names.split(',').map(find).collect();
    found.ok_or_else(|| {
        let known = JobState::ALL.map(JobState::name).join(", ");
        Problem::parameter("state", format!("use one or more of {known}, separated by commas"))
    })
}

fn method(name: String) -> Result<String, Problem> {
    if catalogue::names().contains(&name.as_str()) {
        return Ok(name);
    }
    Err(Problem::parameter("method", format!("there is no method {name:?}: see GET /attack-methods")))
}

fn label(text: &str) -> Result<(String, String), Problem> {
    let (key, value) = text
        .split_once(':')
        .filter(|(key, _)| !key.is_empty())
        .ok_or_else(|| Problem::parameter("label", "write the label as key:value"))?;
    Ok((key.into(), value.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(scope: Scope) -> Principal {
        Principal { caller: "a".into(), key: None, scope, max_unfinished: None }
    }

    #[test]
    fn callers_see_their_own_and_admins_all() {
        let asked = |caller: Option<&str>, scope| super::caller(caller.map(str::to_owned), &principal(scope));
        assert_eq!(asked(None, Scope::Reader).unwrap().as_deref(), Some("a"));
        assert_eq!(asked(Some("a"), Scope::Runner).unwrap().as_deref(), Some("a"));
        assert_eq!(asked(Some("b"), Scope::Runner).unwrap_err().kind(), Kind::Forbidden);
        assert_eq!(asked(None, Scope::Admin).unwrap(), None);
        assert_eq!(asked(Some("b"), Scope::Admin).unwrap().as_deref(), Some("b"));
    }

    #[test]
    fn states_methods_and_labels_are_checked() {
        assert_eq!(states("queued,running").unwrap(), [JobState::Queued, JobState::Running]);
        assert!(states("queued,done").is_err() && states("").is_err());
        assert!(method("pgd".into()).is_ok() && method("magic".into()).is_err());
        assert_eq!(label("team:a:b").unwrap(), ("team".into(), "a:b".into()));
        assert!(label("team").is_err() && label(":x").is_err());
    }
}
