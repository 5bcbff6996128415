//! Cancelling at every stage ends in one state, and the files fit it.

use anyhow::ensure;
use serde_json::json;

use crate::harness::{Answer, Checked, EventStream, Options, Service, Submission, text};

#[tokio::test]
async fn a_queued_attack_is_cancelled_at_once() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1)).await?;
    let client = service.client();
    let ahead = client.submit(&Submission::long()).await?;
    client.running(&ahead).await?;
    let queued = client.submit(&Submission::fgsm()).await?;
    let waits = client.job(&queued).await?;
    ensure!(waits["state"] == "queued" && waits["queue"]["jobs_ahead"] == 0, "{waits}");
    ensure!(waits["queue"]["steps_ahead"].as_u64() > Some(0), "{waits}");
    let answer = Answer::to(client.post(&format!("/attacks/{queued}/cancel"))).await?.with_status(200)?.json()?;
    ensure!(answer["state"] == "cancelled" && answer["attempt"] == 0 && answer["started_at"].is_null(), "{answer}");
    ensure!(answer["queue"].is_null() && !answer["finished_at"].is_null(), "{answer}");
    client.cancelled(&ahead).await?;
    ensure!(client.job(&queued).await?["state"] == "cancelled", "a cancelled attack is not begun");
    service.finish().await
}

#[tokio::test]
async fn a_running_attack_stops_at_its_next_step() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1)).await?;
    let client = service.client();
    let id = client.submit(&Submission::long()).await?;
    client.running(&id).await?;
    let path = format!("/attacks/{id}/cancel");
    let answer = Answer::to(client.post(&path)).await?.with_status(202)?.json()?;
    ensure!(answer["cancel_requested"] == true, "{answer}");
    let ended = client.ended(&id).await?;
    ensure!(ended["state"] == "cancelled" && ended["result"].is_null() && ended["scores"].is_null(), "{ended}");
    ensure!(ended["artifacts"] == json!([]), "{ended}");
    ensure!(ended["progress"]["step"].as_u64() < ended["progress"]["steps"].as_u64(), "{ended}");
    for path in ["artifacts", "artifacts.zip", "artifacts/adversarial.png"] {
        Answer::to(client.get(&format!("/attacks/{id}/{path}"))).await?.problem(409, "conflict")?;
    }
    Answer::to(client.post(&path)).await?.problem(409, "conflict")?;
    Answer::to(client.post(&format!("/attacks/{id}/rerun"))).await?.problem(409, "conflict")?;
    // the worker is free again
    client.succeed(&Submission::fgsm()).await?;
    service.finish().await
}

#[tokio::test]
async fn cancelling_an_attack_that_is_about_to_end_gives_one_end() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    for steps in 1..=12 {
        let id = client.submit(&Submission::pgd(steps * 3)).await?;
        // later each time, so that some arrive before the end and some after it
        tokio::time::sleep(std::time::Duration::from_millis(u64::from(steps) * 12)).await;
        let asked = Answer::to(client.post(&format!("/attacks/{id}/cancel"))).await?;
        ensure!([200, 202, 409].contains(&asked.status), "{asked:?}");
        let ended = client.ended(&id).await?;
        let succeeded = ended["state"] == "succeeded";
        ensure!(succeeded || ended["state"] == "cancelled", "{ended}");
        ensure!(succeeded || asked.status != 409, "409 says that it had ended: {ended}");
        let files = Answer::to(client.get(&format!("/attacks/{id}/artifacts.zip"))).await?;
        ensure!(files.status == if succeeded { 200 } else { 409 }, "{files:?}");
        let events = EventStream::open(client.get(&format!("/attacks/{id}/events"))).await?.rest().await?;
        let ends: Vec<_> = events.iter().map(|event| event.state()).filter(|state| is_end(state)).collect();
        ensure!(ends == [text(&ended, "state")], "{ends:?}");
    }
    service.finish().await
}

fn is_end(state: &str) -> bool {
    ["succeeded", "failed", "cancelled"].contains(&state)
}

#[tokio::test]
async fn only_an_attack_that_has_ended_can_be_deleted() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1)).await?;
    let client = service.client();
    let running = client.submit(&Submission::long()).await?;
    client.running(&running).await?;
    let queued = client.submit(&Submission::fgsm()).await?;
    for id in [&queued, &running] {
        Answer::to(client.delete(&format!("/attacks/{id}"))).await?.problem(409, "conflict")?;
        client.cancelled(id).await?;
        Answer::to(client.delete(&format!("/attacks/{id}"))).await?.with_status(204)?;
    }
    service.finish().await
}
