//! A reader of server-sent events, as strict as the service should be regular.

use anyhow::{Context, Result, bail, ensure};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use super::text;

/// One event of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: i64,
    pub kind: String,
    pub data: Value,
}

impl Event {
    /// The state that a `state` event tells; empty for other events.
    pub fn state(&self) -> &str {
        if self.kind == "state" { text(&self.data, "state") } else { "" }
    }
}

/// An open stream of events.
pub struct EventStream {
    response: Response,
    unread: Vec<u8>,
}

impl EventStream {
    /// Opens the stream that a request asks for.
    pub async fn open(request: RequestBuilder) -> Result<Self> {
        let response = request.header("accept", "text/event-stream").send().await?;
        ensure!(response.status() == 200, "{}: {}", response.status(), response.text().await?);
        let kind = response.headers().get("content-type").context("a content type")?;
        ensure!(kind.to_str()?.starts_with("text/event-stream"), "{kind:?}");
        Ok(Self { response, unread: vec![] })
    }

    /// The next event; `None` when the service has ended the stream. Comments are passed over.
    pub async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.unread.drain(..end + 2).collect();
                if let Some(event) = parse(std::str::from_utf8(&block)?)? {
                    return Ok(Some(event));
                }
                continue;
            }
            match self.response.chunk().await? {
                Some(chunk) => self.unread.extend_from_slice(&chunk),
                None => {
                    ensure!(self.unread.is_empty(), "the stream ended within an event");
                    return Ok(None);
                }
            }
        }
    }

    /// All events up to the end of the stream.
    pub async fn rest(mut self) -> Result<Vec<Event>> {
        let mut events = vec![];
        while let Some(event) = self.next().await? {
            events.push(event);
        }
        Ok(events)
    }
}

fn parse(block: &str) -> Result<Option<Event>> {
    let (mut id, mut kind, mut data) = (None, None, None);
    for line in block.lines().filter(|line| !line.is_empty() && !line.starts_with(':')) {
        let (field, value) = line.split_once(':').context("a field without a colon")?;
        let value = value.strip_prefix(' ').unwrap_or(value);
        let twice = match field {
            "id" => id.replace(value.parse()?).is_some(),
            "event" => kind.replace(value.to_owned()).is_some(),
            "data" => data.replace(serde_json::from_str(value)?).is_some(),
            // the pause before a client tries again
            "retry" => false,
            _ => bail!("an unknown field: {line}"),
        };
        ensure!(!twice, "a field came twice: {block}");
    }
    match (id, kind, data) {
        (Some(id), Some(kind), Some(data)) => Ok(Some(Event { id, kind, data })),
        (None, None, None) => Ok(None),
        _ => bail!("an event needs id, event and data: {block}"),
    }
}
