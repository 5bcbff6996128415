//! Running an attack again gives the same bytes, and the answer says so.

use anyhow::ensure;
use serde_json::json;

use crate::harness::{Answer, Checked, Client, Options, Service, Submission, text};
use crate::submit::hashes;

async fn rerun(client: &Client, id: &str) -> anyhow::Result<serde_json::Value> {
    let answer = Answer::to(client.post(&format!("/attacks/{id}/rerun"))).await?.with_status(202)?;
    let accepted = answer.json()?;
    ensure!(answer.header("location") == format!("/attacks/{}", text(&accepted, "id")), "{:?}", answer.headers);
    ensure!(accepted["rerun_of"] == id && accepted["id"] != id, "{accepted}");
    client.succeeded(text(&accepted, "id")).await
}

#[tokio::test]
async fn a_rerun_gives_identical_bytes_even_in_company_and_after_a_crash() -> Checked {
    let mut service = Service::start(Options::new()).await?;
    let client = service.client();
    let original = client.succeed(&Submission::pgd(6).with("/seed", 5).with("/labels/team", "qa")).await?;
    ensure!(original["comparison"].is_null() && original["rerun_of"].is_null(), "{original}");
    let company = client.submit(&Submission::long()).await?;
    client.running(&company).await?;
    let repeated = rerun(&client, text(&original, "id")).await?;
    client.cancelled(&company).await?;
    service.kill()?;
    service.restart().await?;
    let after_crash = rerun(&service.client(), text(&original, "id")).await?;
    for again in [repeated, after_crash] {
        ensure!(hashes(&again) == hashes(&original), "{again}");
        ensure!(again["spec"] == original["spec"] && again["result"] == original["result"], "{again}");
        let comparison = json!({"with": original["id"], "identical": true, "different": []});
        ensure!(again["comparison"] == comparison, "{again}");
    }
    service.finish().await
}

#[tokio::test]
async fn another_seed_gives_other_bytes() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let one = client.succeed(&Submission::pgd(2).with("/seed", 1)).await?;
    let two = client.succeed(&Submission::pgd(2).with("/seed", 2)).await?;
    ensure!(hashes(&one) != hashes(&two), "the random start depends on the seed");
    service.finish().await
}
