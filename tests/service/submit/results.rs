//! The numbers: those of the answer are those of the files, and those of the files can be computed again.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use segprobe::metric::{DEFAULT_NSD_TOLERANCE_PX, MaskScores, PerturbationScores};
use segprobe::report::manifest::sha256;
use serde_json::{Value, json};

use crate::harness::{Answer, Checked, Options, Service, Submission, pictures, text};

#[tokio::test]
async fn the_answer_holds_result_json_without_its_steps() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let ended = client.succeed(&Submission::pgd(3)).await?;
    let mut result: Value = serde_json::from_slice(&client.artifact(text(&ended, "id"), "result.json").await?)?;
    let steps = result.as_object_mut().and_then(|result| result.remove("steps")).context("steps")?;
    ensure!(steps.as_array().map(Vec::len) == Some(4), "three steps and the last point: {steps}");
    ensure!(ended["result"] == result, "{ended} {result}");
    let expected = json!({
        "clean_dsc": result["clean"]["dsc"],
        "adversarial_dsc": result["adversarial_file"]["dsc"],
        "clean_iou": result["clean"]["iou"],
        "adversarial_iou": result["adversarial_file"]["iou"],
        "success": result["success"]["met"],
    });
    ensure!(ended["scores"] == expected, "{} {expected}", ended["scores"]);
    let listed = client.get_json("/attacks").await?;
    ensure!(listed["items"][0]["result"].is_null() && listed["items"][0]["scores"] == expected, "{listed}");
    service.finish().await
}

#[tokio::test]
async fn scores_computed_again_from_the_downloaded_files_are_those_of_the_result() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let submission = Submission::pgd(5);
    let ended = client.succeed(&submission).await?;
    let id = text(&ended, "id");
    let mut files = BTreeMap::new();
    for file in ended["artifacts"].as_array().context("artifacts")? {
        let name = text(file, "name");
        files.insert(name, client.artifact(id, name).await?);
    }
    let original = pictures::pixels(&files["original.png"])?;
    ensure!(original == pictures::pixels(&submission.pictures["image"])?, "the original is what was handed in");
    let reference = pictures::bits(&files["reference.png"])?;
    ensure!(reference == pictures::bits(&submission.pictures["mask"])?, "the reference is what was handed in");

    let adversarial = pictures::pixels(&files["adversarial.png"])?;
    let change = PerturbationScores::between(&original, &adversarial)?;
    ensure!(serde_json::to_value(&change)? == ended["result"]["perturbation"], "{change:?}");
    ensure!(change.linf_levels <= 8 && !change.identical, "{change:?}");
    for (file, part) in [("mask_clean.png", "clean"), ("mask_adversarial.png", "adversarial_file")] {
        let scores = MaskScores::between(&pictures::bits(&files[file])?, &reference, DEFAULT_NSD_TOLERANCE_PX)?;
        let scores = serde_json::to_value(scores)?;
        for (name, score) in scores.as_object().context("scores")? {
            ensure!(*score == ended["result"][part][name], "{part}.{name}: {score}");
        }
    }
    // the model, asked about the downloaded file, sees the mask that was scored
    let question = json!({
        "image": BASE64_STANDARD.encode(&files["adversarial.png"]),
        "spec": {"prompt": "lungs"},
    });
    let seen = Answer::to(client.post("/segmentations").json(&question)).await?.with_status(200)?.json()?;
    let seen = pictures::bits(&BASE64_STANDARD.decode(text(&seen, "mask"))?)?;
    ensure!(seen == pictures::bits(&files["mask_adversarial.png"])?, "another mask");
    service.finish().await
}

#[tokio::test]
async fn the_manifest_names_what_came_in_and_what_went_out() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let submission = Submission::fgsm();
    let ended = client.succeed(&submission).await?;
    let manifest: Value = serde_json::from_slice(&client.artifact(text(&ended, "id"), "manifest.json").await?)?;
    for role in ["image", "mask"] {
        let hash = sha256(&submission.pictures[role]);
        ensure!(manifest["inputs"][role] == hash && ended["inputs"][role]["sha256"] == hash, "{role}: {manifest}");
        ensure!(ended["inputs"][role]["bytes"] == submission.pictures[role].len(), "{ended}");
    }
    for file in ended["artifacts"].as_array().context("artifacts")? {
        let named = &manifest["artifacts"][text(file, "name")];
        ensure!(*named == file["sha256"] || file["name"] == "manifest.json", "{file}: {manifest}");
    }
    ensure!(manifest["model"]["name"] == "tiny", "{manifest}");
    service.finish().await
}

#[tokio::test]
async fn without_a_mask_the_clean_prediction_is_the_reference_and_a_note_says_so() -> Checked {
    let service = Service::start(Options::new()).await?;
    let ended = service.client().succeed(&Submission::fgsm().without_picture("mask")).await?;
    ensure!(ended["result"]["reference"] == "clean_prediction" && ended["scores"]["clean_dsc"] == 1.0, "{ended}");
    ensure!(ended["inputs"]["mask"].is_null(), "{ended}");
    ensure!(ended["result"]["notes"].to_string().contains("no reference mask"), "{ended}");
    service.finish().await
}
