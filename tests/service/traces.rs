//! Traces, as a collector gets them: one for a job, across processes; and a service that does not care who collects.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use crate::harness::{Answer, Checked, Client, Collector, Options, Service, Span, Submission, text};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// The header of a caller who keeps the trace, or does not.
fn traceparent(sampled: bool) -> String {
    format!("00-{TRACE}-{CALLER}-0{}", u8::from(sampled))
}

fn traced(endpoint: &str) -> Options {
    Options::new().set("queue.workers", 1).set("telemetry.otlp_endpoint", endpoint).set("log.format", "json")
}

/// Submits in the caller's trace.
async fn submit(client: &Client, submission: &Submission, sampled: bool) -> Result<String> {
    let request = client.attack(submission).header("traceparent", traceparent(sampled));
    let accepted = Answer::to(request).await?.with_status(202)?.json()?;
    Ok(text(&accepted, "id").to_owned())
}

/// Whether all but the first are children of the first in its trace.
fn are_children(parent: &Span, children: &[&Span]) -> bool {
    children.iter().all(|child| child.trace == parent.trace && child.parent == parent.id && child.id != parent.id)
}

#[tokio::test]
async fn a_job_is_one_trace_from_the_callers_span_to_its_files() -> Checked {
    let collector = Collector::start().await?;
    let mut service = Service::start(traced(&format!("{}/", collector.address()))).await?;
    let client = service.client();
    let id = submit(&client, &Submission::pgd(100), true).await?;
    client.succeeded(&id).await?;
    client.get("/healthz").send().await?;
    let (status, _) = service.terminate().await?;
    ensure!(status.success(), "{status}");

    let request = collector.the("POST /attacks")?;
    ensure!((request.trace.as_str(), request.parent.as_str()) == (TRACE, CALLER), "{request:?}");
    ensure!(request.kind == SpanKind::Server && request.attribute("http.response.status_code") == "202");
    ensure!(request.attribute("segprobe.job.id") == id, "{request:?}");
    let (queued, attempt) = (collector.the("queued")?, collector.the("attempt")?);
    ensure!(are_children(&request, &[&queued, &attempt]), "{request:?} {queued:?} {attempt:?}");
    ensure!(attempt.kind == SpanKind::Consumer && queued.began <= queued.ended);
    for (key, value) in [
        ("segprobe.job.id", id.as_str()),
        ("segprobe.attempt", "1"),
        ("segprobe.model", "tiny"),
        ("segprobe.attack.method", "pgd"),
        ("segprobe.outcome", "succeeded"),
    ] {
        ensure!(attempt.attribute(key) == value, "{key}: {attempt:?}");
    }
    let (load, attack, publish) = (collector.the("load")?, collector.the("attack")?, collector.the("publish")?);
    ensure!(are_children(&attempt, &[&load, &attack, &publish]), "{attempt:?} {load:?} {attack:?} {publish:?}");
    ensure!(load.ended <= attack.began && attack.ended <= publish.began && publish.ended <= attempt.ended);
    ensure!(attack.attribute("segprobe.steps") == attempt.attribute("segprobe.attack.steps"), "{attack:?}");
    ensure!(!attack.attribute("segprobe.batch.mean_rows").is_empty(), "{attack:?}");
    ensure!((16..=32).contains(&attack.events.len()), "{attack:?}");
    ensure!(attack.events.iter().all(|event| event.contains_key("segprobe.loss")), "{attack:?}");
    ensure!(publish.attribute("segprobe.files") == "9", "{publish:?}");

    let spans = collector.spans();
    ensure!(spans.iter().all(|span| span.name != "GET /healthz"), "{spans:?}");
    ensure!(spans.iter().filter(|span| span.name == "GET /attacks/{id}").all(|span| span.trace != TRACE));
    ensure!(spans.iter().all(|span| span.process["service.name"] == "segprobe"), "{spans:?}");
    let log = service.log();
    let lines = |message: &str| {
        let lines =
            log.lines().filter(|line| line.contains(message) && line.contains(&format!(r#""trace_id":"{TRACE}""#)));
        lines.count()
    };
    ensure!((lines("answered"), lines("job begun"), lines("job ended")) == (1, 1, 1), "{log}");
    ensure!(!log.contains("segprobe::traces") && !log.contains("otel."), "spans of traces are in the log: {log}");
    service.finish().await
}

#[tokio::test]
async fn another_process_goes_on_with_the_trace() -> Checked {
    let collector = Collector::start().await?;
    let options = traced(collector.address()).set("server.shutdown_grace_seconds", 0);
    let mut service = Service::start(options).await?;
    let client = service.client();
    let running = client.submit(&Submission::long()).await?;
    client.running(&running).await?;
    let waiting = submit(&client, &Submission::fgsm(), true).await?;
    ensure!(service.terminate().await?.0.success());
    service.restart().await?;
    let client = service.client();
    client.running(&running).await?;
    client.cancelled(&running).await?;
    client.succeeded(&waiting).await?;
    ensure!(service.terminate().await?.0.success());

    let (requests, attempts) = (collector.named("POST /attacks", 2)?, collector.named("attempt", 3)?);
    let process = |span: &Span| span.process["service.instance.id"].clone();
    ensure!(process(&requests[0]) == process(&requests[1]) && requests[0].trace != requests[1].trace);
    ensure!(requests[0].parent.is_empty(), "{requests:?}");
    let of =
        |job: &str| -> Vec<&Span> { attempts.iter().filter(|span| span.attribute("segprobe.job.id") == job).collect() };
    let (twice, once) = (of(&running), of(&waiting));
    ensure!(are_children(&requests[0], &twice) && are_children(&requests[1], &once), "{requests:?} {attempts:?}");
    let outcomes = |spans: &[&Span]| -> Vec<String> {
        spans.iter().map(|span| span.attribute("segprobe.outcome").to_owned()).collect()
    };
    ensure!(outcomes(&twice) == ["handed_back", "cancelled"] && outcomes(&once) == ["succeeded"], "{attempts:?}");
    ensure!(process(twice[0]) == process(&requests[0]) && process(twice[1]) != process(&requests[0]));
    ensure!(process(once[0]) == process(twice[1]) && once[0].trace == TRACE);
    service.finish().await
}

#[tokio::test]
async fn what_the_caller_decided_goes_before_the_share() -> Checked {
    let collector = Collector::start().await?;
    let mut service = Service::start(traced(collector.address()).set("telemetry.sample_ratio", 0)).await?;
    let client = service.client();
    client.succeed(&Submission::fgsm()).await?;
    let kept = submit(&client, &Submission::fgsm(), true).await?;
    client.succeeded(&kept).await?;
    ensure!(service.terminate().await?.0.success());
    let spans = collector.spans();
    ensure!(spans.len() == 6 && spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");

    let other = Collector::start().await?;
    let mut all = Service::start(traced(other.address())).await?;
    let client = all.client();
    let left_out = submit(&client, &Submission::fgsm(), false).await?;
    client.succeeded(&left_out).await?;
    ensure!(all.terminate().await?.0.success());
    let spans = other.spans();
    ensure!(!spans.is_empty() && spans.iter().all(|span| span.name == "GET /attacks/{id}"), "{spans:#?}");
    all.finish().await?;
    service.finish().await
}

#[tokio::test]
async fn a_collector_that_is_down_or_hangs_delays_nothing() -> Checked {
    // takes connections, as its queue is in the operating system, and never answers
    let hangs = std::net::TcpListener::bind("127.0.0.1:0")?;
    let down = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    for address in [hangs.local_addr()?, down] {
        let mut service = Service::start(traced(&format!("http://{address}"))).await?;
        let client = service.client();
        client.succeed(&Submission::fgsm()).await?;
        let began = Instant::now();
        for _ in 0..200 {
            client.get_json("/attacks?limit=1").await?;
        }
        ensure!(began.elapsed() < Duration::from_secs(10), "200 answers took {:?}", began.elapsed());
        let (status, took) = service.terminate().await?;
        ensure!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
        service.finish().await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_sent_and_no_thread_waits_for_it() -> Checked {
    let collector = Collector::start().await?;
    let options = Options::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", collector.address()).set("log.format", "json");
    let mut service = Service::start(options).await?;
    let client = service.client();
    let id = submit(&client, &Submission::fgsm(), true).await?;
    client.succeeded(&id).await?;
    #[cfg(target_os = "linux")]
    for thread in std::fs::read_dir(format!("/proc/{}/task", service.pid()?))? {
        let name = std::fs::read_to_string(thread?.path().join("comm"))?;
        ensure!(!name.starts_with("OpenTelemetry") && !name.starts_with("reqwest-internal"), "{name}");
    }
    ensure!(service.terminate().await?.0.success());
    ensure!(collector.spans().is_empty() && !service.log().contains("trace_id"), "{}", service.log());
    service.finish().await
}
