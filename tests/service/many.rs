//! Many callers at once: nobody is lost, nobody starves, memory stays bounded, and the queue says when it is full.

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;

use crate::harness::{Answer, Checked, Client, Options, Service, Submission, pictures, text};

/// What the process may have held in memory at most: the program itself takes about 100 MiB, two hundred small
/// uploads and a network with one row a fraction of that.
const MOST_MEMORY_KIB: u64 = 700 * 1024;

/// The largest resident memory the process has had, in KiB.
fn peak_memory_kib(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).context("no peak memory")?;
    Ok(line.split_whitespace().nth(1).context("a number")?.parse()?)
}

#[tokio::test]
async fn two_hundred_attacks_of_three_callers_all_end_well_in_bounded_memory() -> Checked {
    let service = Service::start_with_keys(Options::new().set("queue.workers", 1)).await?;
    let mut callers = vec![];
    for name in ["ann", "bob", "cid"] {
        callers.push(service.client_with_key(name, "runner")?);
    }
    let submit = async |number: usize| {
        let caller = &callers[number % callers.len()];
        let (width, height) = [(16, 16), (64, 48), (33, 77), (240, 180)][number % 4];
        let (image, mask) = pictures::lungs(number as u64, width, height);
        let submission = Submission::fgsm().picture("image", image).picture("mask", mask);
        anyhow::Ok((caller, caller.submit(&submission).await?))
    };
    let submitted = try_join_all((0..200).map(submit)).await?;
    for (caller, id) in &submitted {
        let ended = caller.succeeded(id).await?;
        ensure!(ended["attempt"] == 1, "{ended}");
    }
    let all = service.client().get_json("/attacks?state=succeeded&limit=100").await?;
    ensure!(all["items"].as_array().map(Vec::len) == Some(100) && all["next_cursor"].is_string());
    let peak = peak_memory_kib(service.pid()?)?;
    ensure!(peak < MOST_MEMORY_KIB, "{} MiB", peak / 1024);
    service.finish().await
}

async fn submit_many(client: &Client, number: usize) -> Result<Vec<String>> {
    let mut ids = vec![];
    for _ in 0..number {
        ids.push(client.submit(&Submission::fgsm()).await?);
    }
    Ok(ids)
}

#[tokio::test]
async fn callers_take_turns_however_much_one_of_them_has_queued() -> Checked {
    let service = Service::start_with_keys(Options::new().set("queue.workers", 1)).await?;
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|name| service.client_with_key(name, "runner"));
    let (ann, bob, cid) = (ann?, bob?, cid?);
    let ahead = ann.submit(&Submission::long()).await?;
    ann.running(&ahead).await?;
    let mut ids = submit_many(&ann, 12).await?;
    ids.extend(submit_many(&bob, 3).await?);
    ids.extend(submit_many(&cid, 3).await?);
    ann.cancelled(&ahead).await?;
    let admin = service.client();
    let mut jobs = vec![];
    for id in &ids {
        jobs.push(admin.succeeded(id).await?);
    }
    jobs.sort_by_key(|job| text(job, "started_at").to_owned());
    let order: Vec<_> = jobs.iter().map(|job| text(job, "caller")).collect();
    for round in order[..9].chunks(3) {
        let mut callers = round.to_vec();
        callers.sort_unstable();
        ensure!(callers == ["ann", "bob", "cid"], "{order:?}");
    }
    let own: Vec<_> = jobs.iter().filter(|job| job["caller"] == "ann").map(|job| text(job, "id")).collect();
    ensure!(own == ids[..12], "the jobs of one caller keep their order");
    service.finish().await
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1).set("queue.max_queued", 2)).await?;
    let client = service.client();
    let running = client.submit(&Submission::long()).await?;
    client.running(&running).await?;
    let queued = submit_many(&client, 2).await?;
    let refused = Answer::to(client.attack(&Submission::fgsm())).await?;
    refused.problem(429, "queue-full")?;
    let wait: u64 = refused.header("retry-after").parse()?;
    ensure!((1..=300).contains(&wait), "{wait}");
    ensure!(client.get_json("/attacks").await?["items"].as_array().map(Vec::len) == Some(3));
    client.cancelled(&running).await?;
    for id in &queued {
        client.succeeded(id).await?;
    }
    client.succeed(&Submission::fgsm()).await?;
    service.finish().await
}

#[tokio::test]
async fn one_caller_cannot_fill_the_queue_alone() -> Checked {
    let service =
        Service::start_with_keys(Options::new().set("queue.workers", 1).set("queue.max_per_caller", 2)).await?;
    let (ann, bob) = (service.client_with_key("ann", "runner")?, service.client_with_key("bob", "runner")?);
    let running = ann.submit(&Submission::long()).await?;
    ann.running(&running).await?;
    let queued = ann.submit(&Submission::fgsm()).await?;
    let refused = Answer::to(ann.attack(&Submission::fgsm())).await?;
    refused.problem(429, "caller-full")?;
    ensure!(refused.header("retry-after").parse::<u64>().is_ok_and(|wait| wait > 0), "{:?}", refused.headers);
    let of_bob = bob.submit(&Submission::fgsm()).await?;
    ann.cancelled(&running).await?;
    ann.succeeded(&queued).await?;
    bob.succeeded(&of_bob).await?;
    service.finish().await
}

#[tokio::test]
async fn the_limit_on_the_queue_holds_when_all_come_at_once() -> Checked {
    let service = Service::start(Options::new().set("queue.workers", 1).set("queue.max_queued", 5)).await?;
    let client = service.client();
    let running = client.submit(&Submission::long()).await?;
    client.running(&running).await?;
    let submission = Submission::fgsm();
    let answers = try_join_all((0..30).map(|_| Answer::to(client.attack(&submission)))).await?;
    let mut accepted = vec![];
    for answer in answers {
        if answer.status == 202 {
            accepted.push(text(&answer.json()?, "id").to_owned());
        } else {
            // reading uploads is bounded too
            ensure!([429, 503].contains(&answer.status) && !answer.header("retry-after").is_empty(), "{answer:?}");
        }
    }
    ensure!(accepted.len() == 5, "{} were accepted", accepted.len());
    client.cancelled(&running).await?;
    for id in &accepted {
        client.succeeded(id).await?;
    }
    service.finish().await
}
