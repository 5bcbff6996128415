//! One request, however often it is sent, makes one job.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;

use crate::harness::{Answer, Checked, Client, Options, Service, Submission, text};

async fn send(client: &Client, submission: &Submission, key: &str) -> Result<Answer> {
    Answer::to(client.attack(submission).header("idempotency-key", key)).await
}

async fn number_of_jobs(client: &Client) -> Result<Option<usize>> {
    Ok(client.get_json("/attacks?limit=100").await?["items"].as_array().map(Vec::len))
}

#[tokio::test]
async fn the_same_request_again_answers_the_same_job() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let first = send(&client, &Submission::fgsm(), "monday-1").await?.with_status(202)?;
    ensure!(first.header("idempotency-replayed").is_empty(), "{:?}", first.headers);
    let id = text(&first.json()?, "id").to_owned();
    client.succeeded(&id).await?;

    let second = send(&client, &Submission::fgsm(), "monday-1").await?.with_status(202)?;
    ensure!(second.header("idempotency-replayed") == "true" && second.json()?["id"] == id.as_str());
    ensure!(second.header("location") == format!("/attacks/{id}"), "{:?}", second.headers);
    let as_json = client.attack_as_json(&Submission::fgsm()).header("idempotency-key", "monday-1");
    ensure!(Answer::to(as_json).await?.with_status(202)?.json()?["id"] == id.as_str(), "JSON is the same request");
    let waits = client.attack(&Submission::fgsm()).header("idempotency-key", "monday-1").header("prefer", "wait=5");
    ensure!(Answer::to(waits).await?.with_status(200)?.json()?["state"] == "succeeded");
    ensure!(number_of_jobs(&client).await? == Some(1));

    let other = send(&client, &Submission::fgsm(), "monday-2").await?.with_status(202)?;
    ensure!(other.json()?["id"] != id.as_str(), "another key makes another job");
    client.succeeded(text(&other.json()?, "id")).await?;
    service.finish().await
}

#[tokio::test]
async fn another_request_under_the_same_key_is_refused() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let first = send(&client, &Submission::fgsm(), "key").await?.with_status(202)?.json()?;
    let changed = [Submission::fgsm().with("/seed", 1), Submission::fgsm().without_picture("mask")];
    for submission in changed {
        send(&client, &submission, "key").await?.problem(422, "idempotency-conflict")?;
    }
    ensure!(number_of_jobs(&client).await? == Some(1));
    client.succeeded(text(&first, "id")).await?;
    service.finish().await
}

#[tokio::test]
async fn keys_are_remembered_across_a_crash() -> Checked {
    let mut service = Service::start(Options::new()).await?;
    let first = send(&service.client(), &Submission::fgsm(), "key").await?.with_status(202)?.json()?;
    service.kill()?;
    service.restart().await?;
    let client = service.client();
    let again = send(&client, &Submission::fgsm(), "key").await?.with_status(202)?;
    ensure!(again.header("idempotency-replayed") == "true" && again.json()?["id"] == first["id"]);
    client.succeeded(text(&first, "id")).await?;
    service.finish().await
}

#[tokio::test]
async fn equal_requests_at_the_same_time_make_one_job() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let submission = Submission::fgsm();
    let answers = try_join_all((0..12).map(|_| send(&client, &submission, "rush"))).await?;
    let mut ids = BTreeSet::new();
    let mut made = 0;
    for answer in answers {
        let answer = answer.with_status(202)?;
        made += usize::from(answer.header("idempotency-replayed").is_empty());
        ids.insert(text(&answer.json()?, "id").to_owned());
    }
    ensure!(made == 1 && ids.len() == 1, "{made} jobs were made: {ids:?}");
    for id in &ids {
        client.succeeded(id).await?;
    }
    service.finish().await
}

#[tokio::test]
async fn callers_do_not_share_keys() -> Checked {
    let service = Service::start_with_keys(Options::new()).await?;
    let (ann, bob) = (service.client_with_key("ann", "runner")?, service.client_with_key("bob", "runner")?);
    let of_ann = send(&ann, &Submission::fgsm(), "key").await?.with_status(202)?.json()?;
    let of_bob = send(&bob, &Submission::fgsm().with("/seed", 7), "key").await?.with_status(202)?.json()?;
    ensure!(of_ann["id"] != of_bob["id"]);
    ann.succeeded(text(&of_ann, "id")).await?;
    bob.succeeded(text(&of_bob, "id")).await?;
    service.finish().await
}

#[tokio::test]
async fn a_refused_request_does_not_use_up_its_key() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    send(&client, &Submission::fgsm().with("/prompt", ""), "key").await?.problem(422, "invalid")?;
    let accepted = send(&client, &Submission::fgsm(), "key").await?.with_status(202)?.json()?;
    client.succeeded(text(&accepted, "id")).await?;
    service.finish().await
}
