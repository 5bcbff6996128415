//! Asking what the model sees, without an attack.

use anyhow::ensure;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::RequestBuilder;
use segprobe::metric::{DEFAULT_NSD_TOLERANCE_PX, MaskScores};
use serde_json::{Value, json};

use crate::harness::{Answer, Checked, Client, Options, Service, Submission, pictures, text};

fn as_form(client: &Client, submission: &Submission) -> RequestBuilder {
    client.post("/segmentations").multipart(submission.form())
}

fn question(spec: Value) -> Submission {
    Submission { spec, ..Submission::fgsm() }
}

#[tokio::test]
async fn a_segmentation_holds_a_mask_that_fits_its_scores() -> Checked {
    let service = Service::start(Options::new().with_demo_model()).await?;
    let client = service.client();
    let question = question(json!({"prompt": "lungs"}));
    let answer = Answer::to(as_form(&client, &question)).await?.with_status(200)?.json()?;
    ensure!(answer["model"] == "demo" && answer["prompt"] == "lungs", "{answer}");
    ensure!(answer["width"] == 64 && answer["height"] == 48, "{answer}");
    let mask = pictures::bits(&BASE64_STANDARD.decode(text(&answer, "mask"))?)?;
    ensure!(answer["area_px"] == mask.area(), "{answer}");
    let probability = pictures::pixels(&BASE64_STANDARD.decode(text(&answer, "probability"))?)?;
    for (x, y) in (0..48).flat_map(|y| (0..64).map(move |x| (x, y))) {
        let level = probability.pixel(x, y)[0];
        ensure!(mask.get(x, y) == (level > 127) || level == 128, "{x} {y}: {level}");
    }
    let reference = pictures::bits(&question.pictures["mask"])?;
    let scores = MaskScores::between(&mask, &reference, DEFAULT_NSD_TOLERANCE_PX)?;
    ensure!(answer["scores"] == serde_json::to_value(&scores)?, "{answer}");
    ensure!(scores.overlap.dsc > 0.5, "the model should see these lungs: {answer}");

    let as_json = client.post("/segmentations").json(&question.json());
    ensure!(Answer::to(as_json).await?.with_status(200)?.json()? == answer, "JSON asks the same");
    let unscored = Answer::to(as_form(&client, &question.without_picture("mask"))).await?.with_status(200)?.json()?;
    ensure!(unscored["scores"].is_null() && unscored["mask"] == answer["mask"], "{unscored}");
    service.finish().await
}

#[tokio::test]
async fn wrong_questions_are_refused() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    for (wrong, blames) in [
        (question(json!({"prompt": ""})), "/spec/prompt"),
        (question(json!({"prompt": "x", "model": "gpt"})), "/spec/model"),
        (question(json!({"prompt": "x", "steps": 3})), "/spec/steps"),
        (question(json!({"prompt": "x"})).picture("mask", pictures::flat(255, 9, 9)), "/mask"),
        (question(json!({"prompt": "x"})).picture("allowed_region", pictures::flat(255, 64, 48)), "/allowed_region"),
        (question(json!({"prompt": "x"})).without_picture("image"), "/image"),
    ] {
        for request in [as_form(&client, &wrong), client.post("/segmentations").json(&wrong.json())] {
            let problem = Answer::to(request).await?.problem(422, "invalid")?;
            ensure!(problem["errors"][0]["pointer"] == blames, "{problem}");
        }
    }
    service.finish().await
}
