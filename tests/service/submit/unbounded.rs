//! Methods without a budget: corruptions and prompts go through the same queue.

use anyhow::{Context, ensure};
use serde_json::json;

use crate::harness::{Answer, Checked, Options, Service, Submission, blamed, text};
use crate::submit::hashes;

fn unbounded(attack: serde_json::Value) -> Submission {
    Submission::fgsm().without("budget").with("/attack", attack)
}

#[tokio::test]
async fn corruptions_are_jobs_that_can_be_repeated() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let submission = unbounded(json!({"method": "corruption", "kind": "xray", "severity": 4}));
    let job = client.succeed(&submission).await?;
    let result = &job["result"];
    ensure!(result["within_budget"].is_null() && result["request"]["budget"].is_null(), "{result}");
    ensure!(result["worst"].is_string() && result["queries"]["gradient"] == 0, "{result}");
    ensure!(job["progress"]["step"] == job["progress"]["steps"], "{job}");
    let again = Answer::to(client.post(&format!("/attacks/{}/rerun", text(&job, "id")))).await?.with_status(202)?;
    let again = client.succeeded(text(&again.json()?, "id")).await?;
    ensure!(hashes(&again) == hashes(&job) && again["comparison"]["identical"] == true, "{again}");
    service.finish().await
}

#[tokio::test]
async fn prompts_are_measured_and_the_worst_is_answered() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let job = client.succeed(&unbounded(json!({"method": "prompt", "texts": ["both lungs"]}))).await?;
    let result = &job["result"];
    ensure!(result["perturbation"]["identical"] == true && result["adversarial_prompt"].is_string(), "{result}");
    let families = result["prompt_sensitivity"]["families"].as_array().context("families")?;
    ensure!(families.iter().any(|family| family["family"] == "given"), "{families:?}");
    ensure!(result["prompt_sensitivity"]["use_of_text"].is_f64(), "{result}");
    ensure!(job["progress"]["step"] == job["progress"]["steps"], "{job}");
    service.finish().await
}

#[tokio::test]
async fn a_budget_goes_with_the_methods_that_have_one() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let wrong = [
        (Submission::fgsm().without("budget"), "/spec/budget"),
        (Submission::fgsm().with("/attack", json!({"method": "corruption"})), "/spec/budget"),
        (unbounded(json!({"method": "corruption", "severity": 9})), "/spec/attack/severity"),
        (unbounded(json!({"method": "prompt", "edits": "rhyme"})), "/spec/attack/edits"),
        (unbounded(json!({"method": "prompt", "rounds": 5})), "/spec/attack/rounds"),
    ];
    for (submission, pointer) in wrong {
        let problem = Answer::to(client.attack(&submission)).await?.problem(422, "invalid")?;
        ensure!(blamed(&problem)?.as_deref() == Some(pointer), "{problem}");
    }
    service.finish().await
}
