//! Attacks that are shown to further models.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::harness::{Answer, Checked, Options, Service, Submission, blamed, text};
use crate::submit::hashes;

#[tokio::test]
async fn a_finished_attack_is_shown_to_other_models() -> Checked {
    let service = Service::start(Options::new().and_tiny_model("twin").and_tiny_model("third")).await?;
    let client = service.client();
    let submission = Submission::pgd(3).with("/transfer_to", json!(["twin", "third"]));
    let job = client.succeed(&submission).await?;
    let result = &job["result"];
    let transfer = result["transfer"].as_array().context("transfer")?;
    let names: Vec<_> = transfer.iter().map(|other| text(other, "model")).collect();
    ensure!(result["model"] == "tiny" && names == ["twin", "third"], "{result}");
    // The same weights say the same.
    for other in transfer {
        for side in ["clean", "adversarial_file"] {
            ensure!(other[side]["dsc"] == result[side]["dsc"] && other[side]["iou"] == result[side]["iou"], "{result}");
        }
        ensure!(other["success"] == result["success"] && other["deltas"] == result["deltas"], "{result}");
    }
    let manifest: Value = serde_json::from_slice(&client.artifact(text(&job, "id"), "manifest.json").await?)?;
    // by their weights: the names are the service's own
    ensure!(manifest["transfer_to"] == json!([manifest["model"], manifest["model"]]), "{manifest}");
    let alone = client.succeed(&Submission::pgd(3)).await?;
    ensure!(alone["result"].get("transfer").is_none(), "{alone}");
    let again = Answer::to(client.post(&format!("/attacks/{}/rerun", text(&job, "id")))).await?.with_status(202)?;
    let again = client.succeeded(text(&again.json()?, "id")).await?;
    ensure!(hashes(&again) == hashes(&job), "{again}");
    service.finish().await
}

#[tokio::test]
async fn models_that_cannot_be_shown_an_attack_are_pointed_at() -> Checked {
    let service = Service::start(Options::new().and_tiny_model("twin")).await?;
    let client = service.client();
    for (models, pointer) in [
        (json!(["absent"]), "/spec/transfer_to/0"),
        (json!(["twin", "tiny"]), "/spec/transfer_to/1"),
        (json!(["twin", "twin"]), "/spec/transfer_to/1"),
        (json!("twin"), "/spec/transfer_to"),
        (json!([1]), "/spec/transfer_to/0"),
        (json!((0..9).map(|n| n.to_string()).collect::<Vec<_>>()), "/spec/transfer_to"),
    ] {
        let submission = Submission::fgsm().with("/transfer_to", models.clone());
        let problem = Answer::to(client.attack(&submission)).await?.problem(422, "invalid")?;
        ensure!(blamed(&problem)?.as_deref() == Some(pointer), "{models}: {problem}");
    }
    service.finish().await
}
