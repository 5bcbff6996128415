//! Clients that are slow, rude or gone: the service goes on answering everybody else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::json;

use crate::harness::{Checked, Client, Options, Service, Submission};

fn connect(client: &Client) -> Result<TcpStream> {
    let stream = TcpStream::connect(client.authority())?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    Ok(stream)
}

/// Sends bytes and answers what comes back until the service closes the connection.
fn exchange(client: &Client, bytes: &[u8]) -> Result<String> {
    let mut stream = connect(client)?;
    // the service may close before it has read everything
    let _ = stream.write_all(bytes);
    let mut answer = vec![];
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The first bytes of a large submission.
fn begun_upload(client: &Client) -> Vec<u8> {
    let host = client.authority();
    let head = format!(
        "POST /attacks HTTP/1.1\r\nHost: {host}\r\nContent-Type: multipart/form-data; boundary=x\r\n\
         Content-Length: 10000000\r\n\r\n--x\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n"
    );
    let mut bytes = head.into_bytes();
    bytes.resize(bytes.len() + 100_000, 7);
    bytes
}

async fn check_service(client: &Client) -> Checked {
    let began = Instant::now();
    ensure!(client.get_json("/healthz").await? == json!({"status": "ok"}));
    client.succeed(&Submission::fgsm()).await?;
    ensure!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    let jobs = client.get_json("/attacks?state=queued,running,failed").await?;
    ensure!(jobs["items"] == json!([]), "{jobs}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_http_is_refused() -> Checked {
    let service = Service::start(Options::new().set("server.request_timeout_seconds", 2)).await?;
    let client = service.client();
    let host = client.authority().to_owned();
    let endless = format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {}\r\n\r\n", "x".repeat(1_000_000));
    let smuggled =
        format!("POST /attacks HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nContent-Length: 9\r\n\r\nabcd");
    let chunks = format!(
        "POST /attacks HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    );
    let garbage: Vec<u8> = (0..2000_u32).map(|i| (i * 7919 % 251) as u8).collect();
    let requests =
        [endless.into_bytes(), smuggled.into_bytes(), chunks.into_bytes(), garbage, b"\r\n\r\n\0\0".to_vec()];
    for bytes in requests {
        let speaker = client.clone();
        let answer = tokio::task::spawn_blocking(move || exchange(&speaker, &bytes)).await??;
        ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    check_service(&client).await?;
    service.finish().await
}

#[tokio::test]
async fn clients_that_go_away_leave_nothing_behind() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    for _ in 0..10 {
        connect(&client)?.write_all(&begun_upload(&client))?;
        connect(&client)?.write_all(b"POST /attacks HTTP/1.1\r\nHo")?;
    }
    // and one that does not wait for its stream of events
    let id = client.submit(&Submission::pgd(300)).await?;
    drop(client.get(&format!("/attacks/{id}/events")).send().await?);
    client.succeeded(&id).await?;
    check_service(&client).await?;
    service.finish().await
}

#[tokio::test]
async fn slow_clients_do_not_hold_up_others_and_are_sent_away() -> Checked {
    let service = Service::start(Options::new().set("server.request_timeout_seconds", 2)).await?;
    let client = service.client();
    let mut slow_heads = vec![];
    let mut slow_bodies = vec![];
    for _ in 0..60 {
        let mut head = connect(&client)?;
        head.write_all(b"GET /attacks HTTP/1.1\r\nHost: ")?;
        slow_heads.push(head);
        let mut body = connect(&client)?;
        body.write_all(&begun_upload(&client))?;
        slow_bodies.push(body);
    }
    check_service(&client).await?;
    let ends = tokio::task::spawn_blocking(move || {
        let read = |mut stream: TcpStream| {
            let mut answer = String::new();
            stream.read_to_string(&mut answer).map(|_| answer)
        };
        let heads: Vec<_> = slow_heads.into_iter().take(3).map(read).collect();
        let bodies: Vec<_> = slow_bodies.into_iter().take(3).map(read).collect();
        (heads, bodies)
    });
    let (heads, bodies) = ends.await?;
    for head in heads {
        ensure!(head.is_ok(), "a head that does not come has to end the connection: {head:?}");
    }
    for body in bodies {
        let answer = body?;
        ensure!(answer.starts_with("HTTP/1.1 408") && answer.contains("/problems/timeout"), "{answer}");
    }
    check_service(&client).await?;
    service.finish().await
}

#[tokio::test]
async fn a_body_that_is_shorter_than_announced_makes_no_job() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let body = Submission::fgsm().json().to_string();
    let request = format!(
        "POST /attacks HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        client.authority(),
        body.len() + 10
    );
    let mut stream = connect(&client)?;
    stream.write_all(request.as_bytes())?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    ensure!(client.get_json("/attacks").await?["items"] == json!([]));
    check_service(&client).await?;
    service.finish().await
}
