//! Headers that every answer has, and requests that only a browser under foreign control would send.

use anyhow::ensure;
use reqwest::Method;

use crate::harness::{Answer, Checked, Options, Service, Submission, text};

#[tokio::test]
async fn every_answer_carries_the_security_headers() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    for (path, status) in
        [("/", 200), ("/docs/", 200), ("/attacks", 200), ("/no-such-page", 404), ("/attacks?limit=0", 422)]
    {
        let answer = Answer::to(client.get(path)).await?.with_status(status)?;
        for (name, value) in
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer")]
        {
            ensure!(answer.header(name) == value, "{path} {name}: {:?}", answer.headers);
        }
        let policy = answer.header("content-security-policy");
        ensure!(policy.contains("default-src 'self'") || policy.contains("default-src 'none'"), "{path}: {policy}");
        ensure!(!policy.contains("unsafe-eval"), "{path}: {policy}");
        ensure!(!answer.header("x-request-id").is_empty(), "{path}: {:?}", answer.headers);
        ensure!(answer.headers.get("server").is_none(), "{path}: {:?}", answer.headers);
    }
    let console = Answer::to(client.get("/")).await?;
    ensure!(!console.header("content-security-policy").contains("unsafe-inline"), "{:?}", console.headers);
    for path in ["/attacks", "/models", "/readyz"] {
        let answer = Answer::to(client.get(path)).await?;
        ensure!(answer.header("cache-control").contains("no-store"), "{path}: {:?}", answer.headers);
    }
    service.finish().await
}

#[tokio::test]
async fn a_request_id_is_echoed_if_it_is_a_plain_one() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let echo = async |id: &str| {
        let answer = Answer::to(client.get("/no-such-page").header("x-request-id", id.as_bytes())).await?;
        answer.problem(404, "not-found")?;
        anyhow::Ok(answer.header("x-request-id").to_owned())
    };
    ensure!(echo("run-42/a").await? == "run-42/a");
    for strange in ["", "two words", &"x".repeat(65), "ümlaut"] {
        let given = echo(strange).await?;
        ensure!(given != strange && given.len() >= 16, "{strange:?} became {given:?}");
    }
    ensure!(echo("").await? != echo("").await?, "each request has its own");
    service.finish().await
}

#[tokio::test]
async fn other_sites_are_told_nothing() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let origin = "https://attacker.example";
    for request in [
        client.get("/attacks").header("origin", origin),
        client
            .request(Method::OPTIONS, "/attacks")
            .header("origin", origin)
            .header("access-control-request-method", "POST"),
    ] {
        let answer = Answer::to(request).await?;
        let cors = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
        ensure!(cors.is_none(), "{:?}", answer.headers);
    }
    service.finish().await
}

#[tokio::test]
async fn a_foreign_page_cannot_submit_cancel_or_delete() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let ended = client.succeed(&Submission::fgsm()).await?;
    let path = format!("/attacks/{}", text(&ended, "id"));
    let requests = || {
        [
            client.attack(&Submission::fgsm()),
            client.post(&format!("{path}/rerun")),
            client.post(&format!("{path}/cancel")),
            client.delete(&path),
        ]
    };
    for request in requests() {
        Answer::to(request.header("sec-fetch-site", "cross-site")).await?.problem(403, "forbidden")?;
    }
    for origin in ["https://attacker.example", "null", "http://localhost.attacker.example"] {
        for request in requests() {
            Answer::to(request.header("origin", origin)).await?.problem(403, "forbidden")?;
        }
    }
    ensure!(client.job(text(&ended, "id")).await? == ended, "nothing has happened to it");
    let own = format!("http://{}", client.authority());
    let same = client.attack(&Submission::fgsm()).header("origin", own).header("sec-fetch-site", "same-origin");
    let accepted = Answer::to(same).await?.with_status(202)?.json()?;
    client.succeeded(text(&accepted, "id")).await?;
    service.finish().await
}

#[tokio::test]
async fn a_name_that_was_bent_to_the_loopback_is_refused() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let port = client.authority().rsplit(':').next().unwrap_or_default().to_owned();
    for host in ["attacker.example", &format!("attacker.example:{port}"), "127.0.0.1.attacker.example"] {
        Answer::to(client.get("/attacks").header("host", host)).await?.problem(403, "forbidden")?;
    }
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let request = client.get("/attacks").header("host", format!("{host}:{port}"));
        Answer::to(request).await?.with_status(200)?;
    }
    service.finish().await
}
