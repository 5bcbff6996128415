//! What happens to an attack, as it happens (Server-Sent Events).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::visible;
use crate::api::App;
use crate::api::caller::Reader;
use crate::api::extract::{At, Parameters};
use crate::api::problem::{Always, Problem, Refused};
use crate::jobs::store::Event;
use crate::jobs::{Changes, JobError, JobId, Jobs};

const KEEP_ALIVE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Where to go on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Only events after this one; the header `Last-Event-ID` goes before.
    #[param(nullable = false, minimum = 0)]
    last_event_id: Option<i64>,
}

/// One event of the stream.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described here: events are written field by field")]
pub(super) struct ServerSentEvent {
    /// Its number, from 1.
    id: String,
    /// `state` or `progress`.
    event: String,
    /// A JSON object.
    data: String,
}

/// Follow an attack
///
/// A stream of Server-Sent Events that ends when the attack does. `state` events hold `state`, `attempt` and perhaps
/// `failure`; `progress` events hold what `progress` holds in the attack. A broken stream goes on after the header
/// `Last-Event-ID`.
#[utoipa::path(
    get,
    path = "/attacks/{id}/events",
    tag = "attacks",
    params(
        ("id" = JobId, Path, description = "Name of the attack"),
        EventsQuery,
        ("Last-Event-ID" = Option<i64>, Header, description = "Only events after this one", minimum = 0, nullable = false),
    ),
    responses(
        (status = 200, description = "The events", body = ServerSentEvent, content_type = "text/event-stream"),
        Refused<404>, Refused<422>, Always,
    ),
)]
pub(super) async fn attack_events(
    State(app): State<App>,
    Reader(principal): Reader,
    At(id): At<JobId>,
    Parameters(query): Parameters<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = position(&headers, query.last_event_id)?;
    visible(&app, &principal, id).await?;
    let (jobs, changes) = (app.jobs.clone(), app.jobs.changes());
    let feed = Feed { jobs, changes, id, after, read: VecDeque::new() };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(written(&event)), feed))
    });
    // A stream that nobody ends would hold up the shutdown.
    let events = events.take_until(app.shutdown.clone().cancelled_owned());
    let events = Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    // Proxies would otherwise collect events until they have many.
    Ok(([(HeaderName::from_static("x-accel-buffering"), "no")], events).into_response())
}

/// The event to go on after.
fn position(headers: &HeaderMap, parameter: Option<i64>) -> Result<i64, Problem> {
    let parameter = parameter.unwrap_or(0);
    if parameter < 0 {
        return Err(Problem::parameter("last_event_id", "use the number of an event, or 0"));
    }
    let Some(header) = headers.get(LAST_EVENT_ID) else { return Ok(parameter) };
    let number = header.to_str().ok().and_then(|text| text.parse().ok()).filter(|after| *after >= 0);
    number.ok_or_else(|| Problem::header("Last-Event-ID", "use the number of an event, or 0"))
}

fn written(event: &Event) -> sse::Event {
    sse::Event::default().id(event.sequence.to_string()).event(&event.kind).data(event.data.to_string())
}

/// The events of one job, one after the other.
struct Feed {
    jobs: Jobs,
    changes: Changes,
    id: JobId,
    after: i64,
    read: VecDeque<Event>,
}

impl Feed {
    /// Waits for the next event; `None` after the last.
    async fn next(&mut self) -> Option<Event> {
        match self.try_next().await {
            Ok(event) => event,
            // A job that was deleted has nothing more to say.
            Err(JobError::Absent) => None,
            // The client will come again with the number of the last event.
            Err(error) => {
                tracing::warn!(job = %self.id, %error, "a stream of events was broken off");
                None
            }
        }
    }

    async fn try_next(&mut self) -> Result<Option<Event>, JobError> {
        loop {
            if let Some(event) = self.read.pop_front() {
                self.after = event.sequence;
                return Ok(Some(event));
            }
            // Asked before the events are read: whatever ended the job is among them then.
            let ended = self.jobs.find(self.id).await?.state.is_final();
            self.read.extend(self.jobs.events(self.id, self.after).await?);
            match (self.read.is_empty(), ended) {
                (true, true) => return Ok(None),
                (true, false) => self.changes.next().await,
                (false, _) => (),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_header_goes_before_the_parameter_and_both_are_checked() {
        let header = |value| HeaderMap::from_iter([(LAST_EVENT_ID, HeaderValue::from_static(value))]);
        assert_eq!(position(&HeaderMap::new(), None).unwrap(), 0);
        assert_eq!(position(&HeaderMap::new(), Some(7)).unwrap(), 7);
        assert_eq!(position(&header("9"), Some(7)).unwrap(), 9);
        assert!(position(&HeaderMap::new(), Some(-1)).is_err() && position(&header("9"), Some(-1)).is_err());
        assert!(position(&header("soon"), None).is_err() && position(&header("-1"), None).is_err());
    }
}
