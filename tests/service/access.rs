//! Keys, scopes and whose jobs are whose.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use reqwest::{Method, RequestBuilder};
use sqlx::{Connection, SqliteConnection};

use crate::harness::{Answer, Checked, Client, Options, Service, Submission, segprobe, text};

/// The part of `spk_<id>_<secret>` that names the key.
fn public_part(key: &str) -> Result<&str> {
    key.split('_').nth(1).context("spk_<id>_<secret>")
}

/// Moves the end of a key into the past, since no test can wait a day.
async fn expire(service: &Service, id: &str) -> Checked {
    let database = format!("sqlite://{}", service.data().join("segprobe.sqlite").display());
    let mut connection = SqliteConnection::connect(&database).await?;
    let changed =
        sqlx::query("UPDATE api_keys SET expires_at = 1 WHERE id = ?").bind(id).execute(&mut connection).await?;
    ensure!(changed.rows_affected() == 1, "there is no key {id}");
    Ok(())
}

#[tokio::test]
async fn without_a_right_key_nothing_but_the_open_pages_is_answered() -> Checked {
    let service = Service::start_with_keys(Options::new()).await?;
    let stranger = service.client().without_key();
    let revoked = service.create_key(&["--caller", "ann", "--scope", "admin"])?;
    let public = public_part(&revoked)?;
    let data = service.data();
    let revoke = segprobe(&["keys", "revoke", public, "--data", data.to_str().context("a plain path")?])?;
    ensure!(revoke.status.success(), "{revoke:?}");
    let expired = service.create_key(&["--caller", "ann", "--scope", "admin", "--expires-days", "1"])?;
    expire(&service, public_part(&expired)?).await?;
    let good = service.create_key(&["--caller", "ann", "--scope", "admin"])?;
    let other_end = if good.ends_with('0') { '1' } else { '0' };
    let forged = format!("{}{other_end}", &good[..good.len() - 1]);
    let closed = |request: RequestBuilder| async {
        let answer = Answer::to(request).await?;
        answer.problem(401, "unauthenticated")?;
        ensure!(answer.header("www-authenticate").starts_with("Bearer"), "{:?}", answer.headers);
        Ok(text(&answer.json()?, "detail").to_owned())
    };
    let mut details = vec![];
    for path in ["/attacks", "/attacks/01890000-0000-7000-8000-000000000000", "/models", "/attack-methods", "/metrics"]
    {
        details.push(closed(stranger.get(path)).await?);
    }
    details.push(closed(stranger.attack(&Submission::fgsm())).await?);
    for key in [&revoked, &expired, &forged, "spk_aaaaaaaaaaaa_bbbb", "nonsense", ""] {
        details.push(closed(stranger.with_key(key).get("/attacks")).await?);
        details.push(closed(stranger.get("/attacks").header("x-api-key", key)).await?);
    }
    details.push(closed(stranger.get("/attacks").basic_auth("ann", Some(&revoked))).await?);
    details.dedup();
    ensure!(details.len() == 1, "the answer does not tell why: {details:?}");
    for path in ["/healthz", "/readyz", "/version", "/", "/docs/", "/openapi.json", "/samples"] {
        Answer::to(stranger.get(path)).await?.with_status(200)?;
    }
    service.finish().await
}

#[tokio::test]
async fn a_key_is_taken_from_either_header() -> Checked {
    let service = Service::start_with_keys(Options::new()).await?;
    let key = service.create_key(&["--caller", "ann", "--scope", "runner", "--note", "test"])?;
    let stranger = service.client().without_key();
    let request = stranger.attack(&Submission::fgsm()).header("x-api-key", &key);
    let accepted = Answer::to(request).await?.with_status(202)?.json()?;
    ensure!(accepted["caller"] == "ann", "{accepted}");
    stranger.with_key(&key).succeeded(text(&accepted, "id")).await?;
    let id = public_part(&key)?;
    let secret = key.rsplit('_').next().context("spk_<id>_<secret>")?;
    ensure!(!service.log().contains(secret), "a secret was logged");
    for file in crate::submit::files_below(&service.data())? {
        let content = std::fs::read(&file)?;
        let holds = |what: &str| content.windows(what.len()).any(|part| part == what.as_bytes());
        ensure!(!holds(secret), "{file} holds a secret");
        ensure!(!file.ends_with("audit.jsonl") || holds(id), "the audit log names the key");
    }
    service.finish().await
}

#[tokio::test]
async fn scopes_allow_what_they_say() -> Checked {
    let service = Service::start_with_keys(Options::new()).await?;
    let (reader, runner) = (service.client_with_key("ann", "reader")?, service.client_with_key("ann", "runner")?);
    let ended = runner.succeed(&Submission::fgsm()).await?;
    let path = format!("/attacks/{}", text(&ended, "id"));
    ensure!(reader.get_json(&path).await? == ended, "keys of one caller see the same jobs");
    for request in [
        reader.attack(&Submission::fgsm()),
        reader.delete(&path),
        reader.post(&format!("{path}/cancel")),
        reader.post(&format!("{path}/rerun")),
        reader.post("/segmentations").json(&Submission::fgsm().json()),
        reader.get("/attacks?caller=bob"),
        runner.get("/attacks?caller=bob"),
        runner.attack(&Submission::fgsm().with("/priority", 1)),
    ] {
        Answer::to(request).await?.problem(403, "forbidden")?;
    }
    runner.succeed(&Submission::fgsm().with("/priority", -1)).await?;
    reader.get_json("/models").await?;
    Answer::to(reader.get("/metrics")).await?.with_status(200)?;
    service.finish().await
}

#[tokio::test]
async fn jobs_of_others_cannot_be_told_from_jobs_that_never_were() -> Checked {
    let service = Service::start_with_keys(Options::new()).await?;
    let (ann, bob) = (service.client_with_key("ann", "runner")?, service.client_with_key("bob", "runner")?);
    let id = text(&ann.succeed(&Submission::fgsm()).await?, "id").to_owned();
    for (method, end) in [
        (Method::GET, ""),
        (Method::DELETE, ""),
        (Method::GET, "/events"),
        (Method::GET, "/artifacts"),
        (Method::GET, "/artifacts/adversarial.png"),
        (Method::GET, "/artifacts.zip"),
        (Method::POST, "/cancel"),
        (Method::POST, "/rerun"),
    ] {
        let of_ann = Answer::to(bob.request(method.clone(), &format!("/attacks/{id}{end}"))).await?;
        let never = format!("/attacks/01890000-0000-7000-8000-000000000000{end}");
        let never = Answer::to(bob.request(method, &never)).await?;
        let [foreign, absent] = [of_ann.problem(404, "not-found")?, never.problem(404, "not-found")?];
        ensure!(foreign["detail"] == absent["detail"], "{foreign} {absent}");
    }
    let list = |client: Client, query: &'static str| async move {
        let page = client.get_json(&format!("/attacks{query}")).await?;
        anyhow::Ok(page["items"].as_array().map(Vec::len))
    };
    ensure!(list(ann.clone(), "").await? == Some(1) && list(bob, "").await? == Some(0));
    let admin = service.client();
    ensure!(list(admin.clone(), "").await? == Some(1) && list(admin.clone(), "?caller=ann").await? == Some(1));
    ensure!(list(admin.clone(), "?caller=bob").await? == Some(0));
    Answer::to(admin.delete(&format!("/attacks/{id}"))).await?.with_status(204)?;
    ensure!(list(ann, "").await? == Some(0));
    service.finish().await
}

#[tokio::test]
async fn an_administrator_may_raise_a_priority() -> Checked {
    let service = Service::start_with_keys(Options::new().set("queue.workers", 1)).await?;
    let admin = service.client();
    let ahead = admin.submit(&Submission::long()).await?;
    admin.running(&ahead).await?;
    let usual = admin.submit(&Submission::fgsm()).await?;
    let urgent = admin.submit(&Submission::fgsm().with("/priority", 9)).await?;
    ensure!(admin.job(&usual).await?["queue"]["jobs_ahead"] == 1, "the urgent one");
    admin.cancelled(&ahead).await?;
    let (usual, urgent) = (admin.succeeded(&usual).await?, admin.succeeded(&urgent).await?);
    ensure!(text(&urgent, "started_at") < text(&usual, "started_at"), "{urgent} {usual}");
    service.finish().await
}

#[tokio::test]
async fn too_many_requests_of_one_key_have_to_wait() -> Checked {
    let service = Service::start_with_keys(Options::new()).await?;
    let slow = service.create_key(&["--caller", "ann", "--scope", "reader", "--requests-per-minute", "5"])?;
    let slow = service.client().with_key(&slow);
    let mut answered = 0;
    let refused = loop {
        let answer = Answer::to(slow.get("/attacks")).await?;
        if answer.status == 429 {
            break answer;
        }
        answered += 1;
        ensure!(answered <= 10, "five a minute are allowed");
    };
    refused.problem(429, "rate-limited")?;
    let wait: u64 = refused.header("retry-after").parse()?;
    ensure!(answered >= 1 && (1..=60).contains(&wait), "{answered} were answered, wait {wait} s");
    service.client().get_json("/attacks").await?;
    Answer::to(slow.get("/healthz")).await?.with_status(200)?;
    service.finish().await
}

#[tokio::test]
async fn a_key_may_limit_unfinished_jobs() -> Checked {
    let service = Service::start_with_keys(Options::new().set("queue.workers", 1)).await?;
    let key = service.create_key(&["--caller", "ann", "--scope", "runner", "--max-unfinished", "2"])?;
    let ann = service.client().with_key(&key);
    let jobs = [ann.submit(&Submission::long()).await?, ann.submit(&Submission::fgsm()).await?];
    let refused = Answer::to(ann.attack(&Submission::fgsm())).await?;
    refused.problem(429, "caller-full")?;
    ensure!(!refused.header("retry-after").is_empty(), "{:?}", refused.headers);
    for id in jobs.iter().rev() {
        ann.cancelled(id).await?;
    }
    ann.succeed(&Submission::fgsm()).await?;
    service.finish().await
}

#[test]
fn an_open_address_without_keys_is_refused() -> Checked {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let output = segprobe(&["serve", "--listen", "0.0.0.0:0", "--data", data.to_str().context("a plain path")?])?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1) && message.contains("access.mode"), "{message}");
    ensure!(!message.contains("panicked"), "{message}");
    Ok(())
}

#[tokio::test]
async fn requests_without_keys_are_limited_by_address() -> Checked {
    let service = Service::start(Options::new().set("access.requests_per_minute", 20)).await?;
    let client = service.client();
    let mut seen = vec![];
    for _ in 0..40 {
        seen.push(Answer::to(client.get("/models")).await?.status);
    }
    ensure!(seen[0] == 200 && seen.contains(&429), "{seen:?}");
    // one request every three seconds comes back
    tokio::time::sleep(Duration::from_millis(3500)).await;
    service.finish().await
}
