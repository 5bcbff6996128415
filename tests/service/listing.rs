//! Lists of attacks: order, pages, filters.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::harness::{Checked, Client, Options, Service, Submission, text};

fn ids(page: &Value) -> Vec<String> {
    page["items"].as_array().into_iter().flatten().map(|job| text(job, "id").to_owned()).collect()
}

async fn list(client: &Client, query: &str) -> Result<Vec<String>> {
    Ok(ids(&client.get_json(&format!("/attacks?{query}")).await?))
}

#[tokio::test]
async fn pages_hold_every_attack_once_and_the_newest_first() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let mut submitted = vec![];
    for _ in 0..7 {
        submitted.push(client.submit(&Submission::fgsm()).await?);
    }
    let (mut found, mut query) = (vec![], "limit=3".to_owned());
    loop {
        let page = client.get_json(&format!("/attacks?{query}")).await?;
        ensure!(ids(&page).len() <= 3, "{page}");
        found.extend(ids(&page));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("limit=3&cursor={cursor}");
        // what is submitted meanwhile does not move the pages
        let late = client.submit(&Submission::fgsm()).await?;
        ensure!(list(&client, "limit=1").await? == [late.as_str()]);
        client.succeeded(&late).await?;
    }
    submitted.reverse();
    ensure!(found == submitted, "{found:?} {submitted:?}");
    for id in &submitted {
        client.succeeded(id).await?;
    }
    service.finish().await
}

#[tokio::test]
async fn an_exact_last_page_has_no_successor() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let empty = client.get_json("/attacks").await?;
    ensure!(empty == serde_json::json!({"items": [], "next_cursor": null}), "{empty}");
    for _ in 0..2 {
        client.succeed(&Submission::fgsm()).await?;
    }
    let page = client.get_json("/attacks?limit=2").await?;
    ensure!(ids(&page).len() == 2 && page["next_cursor"].is_null(), "{page}");
    service.finish().await
}

#[tokio::test]
async fn filters_hold_together() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let quick = client.succeed(&Submission::fgsm().with("/labels/team", "a:b")).await?;
    let slow = client.succeed(&Submission::pgd(2).with("/labels/team", "c").with("/labels/run", "1")).await?;
    let stopped = client.submit(&Submission::long().with("/labels/team", "c")).await?;
    client.running(&stopped).await?;
    client.cancelled(&stopped).await?;
    let (quick_id, slow_id) = (text(&quick, "id"), text(&slow, "id"));
    let created = text(&slow, "created_at").replace('+', "%2b");
    for (query, expected) in [
        ("", vec![stopped.as_str(), slow_id, quick_id]),
        ("state=succeeded", vec![slow_id, quick_id]),
        ("state=cancelled,succeeded", vec![&stopped, slow_id, quick_id]),
        ("state=queued,running,failed", vec![]),
        ("method=pgd", vec![&stopped, slow_id]),
        ("method=pgd&state=succeeded", vec![slow_id]),
        ("label=team:c", vec![&stopped, slow_id]),
        ("label=team:a%3ab", vec![quick_id]),
        ("label=team:%25", vec![]),
        ("label=team:d", vec![]),
        ("model=tiny&label=run:1", vec![slow_id]),
        ("model=demo", vec![]),
        ("created_after=2100-01-01T00:00:00Z", vec![]),
        ("created_before=2100-01-01T00:00:00Z&method=fgsm", vec![quick_id]),
        (&format!("created_before={created}"), vec![quick_id]),
    ] {
        let found = list(&client, query).await?;
        ensure!(found == expected, "{query}: {found:?}");
    }
    let filtered = client.get_json("/attacks?method=pgd&limit=1").await?;
    let cursor = filtered["next_cursor"].as_str().context("a second page")?;
    ensure!(list(&client, &format!("method=pgd&limit=1&cursor={cursor}")).await? == [slow_id]);
    service.finish().await
}
