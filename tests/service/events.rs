//! The stream of a job's events: complete, in order, resumable.

use anyhow::{Context, Result, ensure};

use crate::harness::{Answer, Checked, Client, Event, EventStream, Options, Service, Submission};

async fn stream(client: &Client, id: &str, after: Option<i64>) -> Result<EventStream> {
    let request = client.get(&format!("/attacks/{id}/events"));
    EventStream::open(match after {
        Some(last) => request.header("last-event-id", last),
        None => request,
    })
    .await
}

fn states(events: &[Event]) -> Vec<&str> {
    events.iter().map(Event::state).filter(|state| !state.is_empty()).collect()
}

fn check_order(events: &[Event]) -> Checked {
    ensure!(events.is_sorted_by(|earlier, later| earlier.id < later.id), "numbers have to rise: {events:?}");
    for event in events.iter().filter(|event| event.kind == "progress") {
        let [step, steps] = ["step", "steps"].map(|field| event.data[field].as_u64());
        ensure!(steps.is_some() && step <= steps, "{event:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_tells_every_state_and_ends_with_the_last() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1)).await?;
    let client = service.client();
    let id = client.submit(&Submission::pgd(600)).await?;
    let seen = stream(&client, &id, None).await?.rest().await?;
    check_order(&seen)?;
    ensure!(states(&seen) == ["queued", "running", "succeeded"], "{seen:?}");
    ensure!(seen.first().map(|event| event.id) == Some(1), "{seen:?}");
    ensure!(seen.last().map(Event::state) == Some("succeeded"), "{seen:?}");
    ensure!(seen.iter().any(|event| event.kind == "progress"), "an attack of a second shows progress: {seen:?}");
    ensure!(seen.iter().filter(|event| event.state() == "running").all(|event| event.data["attempt"] == 1));
    // read again after the end, the story is the same, and the stream ends by itself
    ensure!(stream(&client, &id, None).await?.rest().await? == seen);
    service.finish().await
}

#[tokio::test]
async fn a_broken_stream_is_resumed_without_loss_or_repetition() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1)).await?;
    let client = service.client();
    let id = client.submit(&Submission::pgd(1500)).await?;
    let mut seen: Vec<Event> = vec![];
    for wanted in [1, 2, 4] {
        let mut part = stream(&client, &id, seen.last().map(|event| event.id)).await?;
        while seen.len() < wanted {
            seen.push(part.next().await?.context("the attack runs for seconds")?);
        }
    }
    let last = seen.last().map(|event| event.id);
    let query = format!("/attacks/{id}/events?last_event_id={}", last.context("some were read")?);
    let by_header = stream(&client, &id, last).await?.rest();
    let by_query = EventStream::open(client.get(&query)).await?.rest();
    let (by_header, by_query) = tokio::try_join!(by_header, by_query)?;
    ensure!(by_header == by_query, "{by_header:?} {by_query:?}");
    seen.extend(by_header);
    check_order(&seen)?;
    ensure!(seen == stream(&client, &id, None).await?.rest().await?, "{seen:?}");
    let end = seen.last().map(|event| event.id);
    ensure!(stream(&client, &id, end).await?.rest().await?.is_empty(), "nothing follows the end");
    service.finish().await
}

#[tokio::test]
async fn a_stream_goes_on_after_a_crash_of_the_service() -> Checked {
    let mut service = Service::start(Options::new().set("queue.workers", 1)).await?;
    let client = service.client();
    let id = client.submit(&Submission::pgd(1500)).await?;
    let mut before = stream(&client, &id, None).await?;
    let mut seen = vec![];
    while seen.iter().all(|event: &Event| event.kind != "progress") {
        seen.push(before.next().await?.context("the attack runs for seconds")?);
    }
    service.kill()?;
    service.restart().await?;
    seen.extend(stream(&service.client(), &id, seen.last().map(|event| event.id)).await?.rest().await?);
    check_order(&seen)?;
    ensure!(states(&seen) == ["queued", "running", "queued", "running", "succeeded"], "{seen:?}");
    ensure!(seen.last().is_some_and(|event| event.data["attempt"] == 2), "{seen:?}");
    service.finish().await
}

#[tokio::test]
async fn a_cancelled_attack_ends_its_streams() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1)).await?;
    let client = service.client();
    let id = client.submit(&Submission::long()).await?;
    let streams = futures_util::future::try_join_all((0..5).map(|_| stream(&client, &id, None))).await?;
    client.running(&id).await?;
    client.cancelled(&id).await?;
    for open in streams {
        let seen = open.rest().await?;
        ensure!(states(&seen) == ["queued", "running", "cancelled"], "{seen:?}");
    }
    service.finish().await
}

#[tokio::test]
async fn streams_are_not_stored_and_strange_positions_are_refused() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let id = client.submit(&Submission::fgsm()).await?;
    client.succeeded(&id).await?;
    let path = format!("/attacks/{id}/events");
    let answer = Answer::to(client.get(&path)).await?.with_status(200)?;
    ensure!(answer.header("cache-control").contains("no-"), "{:?}", answer.headers);
    for position in ["soon", "-1"] {
        Answer::to(client.get(&path).header("last-event-id", position)).await?.problem(422, "invalid")?;
        Answer::to(client.get(&format!("{path}?last_event_id={position}"))).await?.problem(422, "invalid")?;
    }
    service.finish().await
}
