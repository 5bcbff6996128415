//! Wrong paths, methods, parameters, headers, and requests that come too early or too late.

use anyhow::ensure;
use reqwest::Method;

use super::{Wrong, check_all, invalid, refused};
use crate::harness::{Answer, Checked, Client, Options, Service, Submission, text};

const UNKNOWN: &str = "/attacks/01890000-0000-7000-8000-000000000000";

fn absent(client: &Client) -> Vec<Wrong> {
    let get =
        ["", "/events", "/artifacts", "/artifacts.zip", "/artifacts/result.json"].map(|end| format!("{UNKNOWN}{end}"));
    let other = [
        "/attacks/unknown",
        "/attacks/..%2f..%2fetc%2fpasswd",
        "/attacks/unknown/events",
        "/models/unknown",
        "/attack-methods/unknown",
        "/samples/unknown/image.png",
        "/samples/..%2fprompts.json",
        "/samples/lungs/notes.txt",
        "/no-such-page",
        "/attacks/",
    ];
    let get = get.into_iter().chain(other.map(String::from)).map(|path| (Method::GET, path));
    let post = ["/cancel", "/rerun"].map(|end| (Method::POST, format!("{UNKNOWN}{end}")));
    get.chain(post)
        .chain([(Method::DELETE, UNKNOWN.to_owned())])
        .map(|(method, path)| refused(format!("{method} {path}"), client.request(method, &path), 404, "not-found"))
        .collect()
}

fn wrong_queries(client: &Client) -> Vec<Wrong> {
    [
        ("limit=0", "?limit"),
        ("limit=101", "?limit"),
        ("limit=-1", "?limit"),
        ("limit=many", "?limit"),
        ("cursor=nonsense", "?cursor"),
        ("cursor=%00", "?cursor"),
        ("state=done", "?state"),
        ("state=queued,done", "?state"),
        ("method=magic", "?method"),
        ("label=team", "?label"),
        ("created_after=yesterday", "?created_after"),
        ("created_before=2026-02-30T00:00:00Z", "?created_before"),
    ]
    .map(|(query, blames)| invalid(query, client.get(&format!("/attacks?{query}")), blames))
    .into()
}

#[tokio::test]
async fn what_is_not_there_is_not_found() -> Checked {
    let service = Service::start(Options::new()).await?;
    check_all(&service, absent(&service.client())).await?;
    service.finish().await
}

#[tokio::test]
async fn wrong_query_parameters_are_named() -> Checked {
    let service = Service::start(Options::new()).await?;
    check_all(&service, wrong_queries(&service.client())).await?;
    service.finish().await
}

#[tokio::test]
async fn wrong_idempotency_keys_are_named() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let keys = [String::new(), "x".repeat(256), "with space".into(), "ümlaut".into()];
    let table = keys.map(|key| {
        let request = client.attack(&Submission::fgsm()).header("idempotency-key", key.as_bytes());
        invalid(format!("a key of {} bytes", key.len()), request, "header: Idempotency-Key")
    });
    check_all(&service, table.into()).await?;
    service.finish().await
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_ones() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    for (method, path, allowed) in [
        (Method::PUT, "/attacks", "POST"),
        (Method::DELETE, "/attacks", "GET"),
        (Method::PATCH, UNKNOWN, "DELETE"),
        (Method::GET, &format!("{UNKNOWN}/cancel"), "POST"),
        (Method::POST, &format!("{UNKNOWN}/artifacts.zip"), "GET"),
        (Method::GET, "/segmentations", "POST"),
        (Method::POST, "/models", "GET"),
        (Method::DELETE, "/healthz", "GET"),
    ] {
        let answer = Answer::to(client.request(method.clone(), path)).await?;
        answer.problem(405, "method-not-allowed")?;
        ensure!(answer.header("allow").contains(allowed), "{method} {path}: {:?}", answer.headers);
    }
    service.finish().await
}

#[tokio::test]
async fn what_comes_too_early_or_too_late_is_a_conflict() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let running = client.submit(&Submission::long()).await?;
    client.running(&running).await?;
    let ended = text(&client.succeed(&Submission::fgsm()).await?, "id").to_owned();
    let conflict = |name: &str, method, path: String| refused(name, client.request(method, &path), 409, "conflict");
    let table = [
        conflict("deleting a running attack", Method::DELETE, format!("/attacks/{running}")),
        conflict("running a running attack again", Method::POST, format!("/attacks/{running}/rerun")),
        conflict("the files of a running attack", Method::GET, format!("/attacks/{running}/artifacts")),
        conflict("a file of a running attack", Method::GET, format!("/attacks/{running}/artifacts/result.json")),
        conflict("the zip of a running attack", Method::GET, format!("/attacks/{running}/artifacts.zip")),
        conflict("cancelling an ended attack", Method::POST, format!("/attacks/{ended}/cancel")),
    ];
    for wrong in table {
        wrong.check().await?;
    }
    for name in ["adversarial.jpg", "secret.txt", "..%2f..%2fsegprobe.sqlite", "%00"] {
        let path = format!("/attacks/{ended}/artifacts/{name}");
        refused(name, client.get(&path), 404, "not-found").check().await?;
    }
    client.cancelled(&running).await?;
    service.finish().await
}
