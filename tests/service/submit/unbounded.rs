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
async fn texts_are_attacked_by_gradient_alone_and_with_the_image() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let flips = client.succeed(&unbounded(json!({"method": "hot_flip", "flips": 1, "candidates": 4}))).await?;
    let result = &flips["result"];
    ensure!(result["perturbation"]["identical"] == true && result["adversarial_prompt"].is_string(), "{result}");
    ensure!(result["queries"]["gradient"] == 1 && result["within_budget"].is_null(), "{result}");
    let bound = client.succeed(&unbounded(json!({"method": "prompt_embedding", "steps": 3}))).await?;
    let result = &bound["result"];
    ensure!(result["perturbation"]["identical"] == true && result["adversarial_prompt"].is_null(), "{result}");
    let notes = result["notes"].as_array().context("notes")?;
    ensure!(notes.iter().any(|note| note.as_str().is_some_and(|note| note.contains("no text need exist"))), "{result}");
    let joint = json!({"method": "joint", "steps": 2, "rounds": 1, "edits": "synonym"});
    let joint = client.succeed(&Submission::fgsm().with("/attack", joint)).await?;
    let result = &joint["result"];
    ensure!(result["within_budget"] == true, "{result}");
    let both = result["adversarial_prompt"].is_string();
    ensure!(both == result["adversarial_file_original_prompt"].is_object(), "{result}");
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
        (unbounded(json!({"method": "hot_flip", "flips": 9})), "/spec/attack/flips"),
        (unbounded(json!({"method": "prompt_embedding", "radius": 5})), "/spec/attack/radius"),
        (unbounded(json!({"method": "joint"})), "/spec/budget"),
    ];
    for (submission, pointer) in wrong {
        let problem = Answer::to(client.attack(&submission)).await?.problem(422, "invalid")?;
        ensure!(blamed(&problem)?.as_deref() == Some(pointer), "{problem}");
    }
    service.finish().await
}
