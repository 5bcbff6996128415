//! A universal perturbation is handed in as a file and goes through the same queue.

use anyhow::{Context, ensure};
use candle_core::{Device, Tensor};
use segprobe::attack::universal::{About, FORMAT_VERSION, MadeOn};
use segprobe::attack::{Epsilon, Norm, Unit, UniversalPerturbation};
use segprobe::loss::Loss;
use segprobe::report::manifest::sha256;
use serde_json::json;

use crate::harness::{Answer, Checked, Options, Service, Submission, blamed, text};
use crate::submit::hashes;

/// A checkerboard of `levels` of 255.
pub(super) fn file(levels: f64) -> anyhow::Result<Vec<u8>> {
    let about = About {
        format_version: FORMAT_VERSION,
        method: "sgd_uap".into(),
        norm: Norm::Linf,
        epsilon: Epsilon::new(levels, Unit::Pixel255)?,
        loss: Loss::DiceCe,
        seed: 0,
        model: MadeOn::default(),
        sources: vec![],
        training: None,
        held_out: None,
    };
    let value = |i: usize| if (i / 16 + i).is_multiple_of(2) { levels / 255. } else { -levels / 255. };
    let values: Vec<f32> = (0..3 * 16 * 16).map(|i| value(i) as f32).collect();
    let delta = Tensor::from_vec(values, (3, 16, 16), &Device::Cpu)?;
    Ok(UniversalPerturbation::new(&delta, about)?.to_bytes()?)
}

fn universal() -> Submission {
    Submission::fgsm().with("/attack", json!({"method": "universal"}))
}

#[tokio::test]
async fn a_perturbation_is_applied_and_can_be_applied_again_after_a_crash() -> Checked {
    let mut service = Service::start(Options::new()).await?;
    let client = service.client();
    let bytes = file(12.)?;
    let submission = universal().picture("perturbation", bytes.clone());
    let job = client.succeed(&submission).await?;
    let input = &job["inputs"]["perturbation"];
    ensure!(input["sha256"] == sha256(&bytes) && input["format"] == "safetensors", "{input}");
    ensure!(input["width"] == 16 && input["bytes"] == bytes.len(), "{input}");
    let result = &job["result"];
    ensure!(result["within_budget"] == true && result["queries"]["gradient"] == 0, "{result}");
    ensure!(result["notes"].to_string().contains("it was cut"), "{result}");
    ensure!(job["progress"]["step"] == job["progress"]["steps"], "{job}");

    let as_json = Answer::to(client.attack_as_json(&submission)).await?.with_status(202)?.json()?;
    ensure!(hashes(&client.succeeded(text(&as_json, "id")).await?) == hashes(&job), "JSON is the same request");
    service.kill()?;
    service.restart().await?;
    let client = service.client();
    let again = Answer::to(client.post(&format!("/attacks/{}/rerun", text(&job, "id")))).await?.with_status(202)?;
    let again = client.succeeded(text(&again.json()?, "id")).await?;
    ensure!(hashes(&again) == hashes(&job) && again["comparison"]["identical"] == true, "{again}");
    ensure!(again["inputs"] == job["inputs"], "{again}");
    service.finish().await
}

#[tokio::test]
async fn another_perturbation_makes_another_request() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let send = |levels: f64| -> anyhow::Result<_> {
        let submission = universal().picture("perturbation", file(levels)?);
        Ok(client.attack(&submission).header("idempotency-key", "key"))
    };
    let first = Answer::to(send(4.)?).await?.with_status(202)?.json()?;
    let second = Answer::to(send(4.)?).await?.with_status(202)?;
    ensure!(second.header("idempotency-replayed") == "true" && second.json()?["id"] == first["id"]);
    Answer::to(send(5.)?).await?.problem(422, "idempotency-conflict")?;
    client.succeeded(text(&first, "id")).await?;
    service.finish().await
}

#[tokio::test]
async fn a_perturbation_that_is_missing_damaged_or_not_wanted_is_named() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let mut damaged = file(4.)?;
    damaged.truncate(100);
    for submission in [
        universal(),
        universal().picture("perturbation", vec![]),
        universal().picture("perturbation", damaged),
        universal().picture("perturbation", Submission::fgsm().pictures["image"].clone()),
        Submission::fgsm().picture("perturbation", file(4.)?),
    ] {
        let problem = Answer::to(client.attack(&submission)).await?.problem(422, "invalid")?;
        ensure!(blamed(&problem)?.as_deref() == Some("/perturbation"), "{problem}");
    }
    let listed = client.get_json("/attack-methods/universal").await?;
    let needs = listed["needs"].as_array().context("needs")?;
    ensure!(*needs == [json!("perturbation")] && listed["threat_model"] == "transfer", "{listed}");
    service.finish().await
}
