//! Crashes and shutdowns: every job ends once, none is lost, the next start is a clean one.

use std::time::Duration;

use anyhow::{Result, ensure};
use segprobe::report::manifest::sha256;
use serde_json::Value;

use crate::harness::{Checked, Client, EventStream, Options, Service, Submission, segprobe, text};

fn one_worker() -> Options {
    Options::new().set("queue.workers", 1)
}

/// How often a job was begun and ended, by its own events.
async fn begun_and_ended(client: &Client, id: &str) -> Result<(usize, usize)> {
    let events = EventStream::open(client.get(&format!("/attacks/{id}/events"))).await?.rest().await?;
    let count = |states: &[&str]| events.iter().filter(|event| states.contains(&event.state())).count();
    Ok((count(&["running"]), count(&["succeeded", "failed", "cancelled"])))
}

async fn check_files(client: &Client, job: &Value) -> Checked {
    let files: Vec<_> = job["artifacts"].as_array().into_iter().flatten().collect();
    ensure!(files.len() == 9, "{job}");
    for file in files {
        let bytes = client.artifact(text(job, "id"), text(file, "name")).await?;
        ensure!(sha256(&bytes) == text(file, "sha256"), "{file}");
    }
    Ok(())
}

#[tokio::test]
async fn a_job_that_was_running_in_a_crash_is_begun_again_and_ends_once() -> Checked {
    let mut service = Service::start(one_worker()).await?;
    let client = service.client();
    let running = client.submit(&Submission::pgd(1500)).await?;
    let waiting = client.submit(&Submission::fgsm()).await?;
    client.running(&running).await?;
    service.kill()?;
    service.restart().await?;
    let client = service.client();
    let ended = client.succeeded(&running).await?;
    ensure!(ended["attempt"] == 2, "{ended}");
    ensure!(begun_and_ended(&client, &running).await? == (2, 1));
    check_files(&client, &ended).await?;
    let ended = client.succeeded(&waiting).await?;
    ensure!(ended["attempt"] == 1, "a job that waited lost nothing: {ended}");
    check_files(&client, &ended).await?;
    service.finish().await
}

#[tokio::test]
async fn a_job_that_crashes_the_service_each_time_is_given_up() -> Checked {
    let mut service = Service::start(one_worker().set("queue.max_attempts", 2)).await?;
    let id = service.client().submit(&Submission::long()).await?;
    for attempt in 1..=2 {
        let running = service.client().running(&id).await?;
        ensure!(running["attempt"] == attempt, "{running}");
        service.kill()?;
        service.restart().await?;
    }
    let client = service.client();
    let ended = client.ended(&id).await?;
    ensure!(ended["state"] == "failed" && ended["failure"]["code"] == "lost" && ended["attempt"] == 2, "{ended}");
    client.succeed(&Submission::fgsm()).await?;
    service.finish().await
}

#[tokio::test]
async fn what_ended_before_a_crash_is_there_after_it() -> Checked {
    let mut service = Service::start(one_worker()).await?;
    let before = service.client().succeed(&Submission::pgd(3)).await?;
    service.kill()?;
    service.restart().await?;
    let client = service.client();
    let after = client.job(text(&before, "id")).await?;
    ensure!(after == before, "{before} {after}");
    check_files(&client, &after).await?;
    service.finish().await
}

#[tokio::test]
async fn a_cancellation_is_not_forgotten_in_a_crash() -> Checked {
    let mut service = Service::start(one_worker()).await?;
    let client = service.client();
    let id = client.submit(&Submission::long()).await?;
    client.running(&id).await?;
    client.post(&format!("/attacks/{id}/cancel")).send().await?;
    service.kill()?;
    service.restart().await?;
    let ended = service.client().ended(&id).await?;
    ensure!(ended["state"] == "cancelled", "{ended}");
    service.finish().await
}

#[tokio::test]
async fn shutdown_hands_a_long_attack_back_and_does_not_count_it() -> Checked {
    let mut service = Service::start(one_worker().set("server.shutdown_grace_seconds", 1)).await?;
    let id = service.client().submit(&Submission::long()).await?;
    service.client().running(&id).await?;
    let (status, took) = service.terminate().await?;
    ensure!(status.success(), "{status}");
    ensure!(took < Duration::from_secs(10), "one second of grace took {took:?}");
    service.restart().await?;
    let client = service.client();
    let running = client.running(&id).await?;
    ensure!(running["attempt"] == 2 && running["max_attempts"] == 4, "as many attempts are left: {running}");
    client.cancelled(&id).await?;
    service.finish().await
}

#[tokio::test]
async fn shutdown_lets_a_short_attack_end() -> Checked {
    let mut service = Service::start(one_worker().set("server.shutdown_grace_seconds", 60)).await?;
    let client = service.client();
    let running = client.submit(&Submission::pgd(600)).await?;
    let waiting = client.submit(&Submission::fgsm()).await?;
    client.running(&running).await?;
    let (status, _) = service.terminate().await?;
    ensure!(status.success(), "{status}");
    service.restart().await?;
    let client = service.client();
    let ended = client.job(&running).await?;
    ensure!(ended["state"] == "succeeded" && ended["attempt"] == 1, "{ended}");
    ensure!(begun_and_ended(&client, &running).await? == (1, 1));
    client.succeeded(&waiting).await?;
    service.finish().await
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_shutdown() -> Checked {
    let mut service = Service::start(one_worker().set("server.shutdown_grace_seconds", 1)).await?;
    let client = service.client();
    let id = client.submit(&Submission::long()).await?;
    let mut open = EventStream::open(client.get(&format!("/attacks/{id}/events"))).await?;
    ensure!(open.next().await?.is_some());
    client.running(&id).await?;
    let reader = tokio::spawn(open.rest());
    let (status, took) = service.terminate().await?;
    ensure!(status.success() && took < Duration::from_secs(10), "{status} after {took:?}");
    let seen = reader.await??;
    ensure!(seen.iter().all(|event| !["succeeded", "failed"].contains(&event.state())), "{seen:?}");
    service.restart().await?;
    service.client().cancelled(&id).await?;
    service.finish().await
}

#[tokio::test]
async fn two_services_never_share_a_data_folder() -> Checked {
    let mut service = Service::start(one_worker()).await?;
    let data = service.data();
    let data = data.to_str().unwrap_or_default();
    let second = segprobe(&["serve", "--listen", "127.0.0.1:0", "--data", data])?;
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    ensure!(second.status.code() == Some(1) && message.contains(data), "{:?}: {message}", second.status);
    service.client().succeed(&Submission::fgsm()).await?;
    // a crash leaves no lock behind
    service.kill()?;
    service.restart().await?;
    service.finish().await
}
