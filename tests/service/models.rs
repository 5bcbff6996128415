//! What the service says of its models, methods and samples, and whether that is true.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::harness::{Answer, Checked, Options, Service, Submission, pictures, text};

#[tokio::test]
async fn models_are_described() -> Checked {
    let service = Service::start(Options::new().with_demo_model()).await?;
    let client = service.client();
    let models = client.get_json("/models").await?;
    let items = models["items"].as_array().context("items")?;
    ensure!(items.len() == 1, "{models}");
    let demo = &items[0];
    ensure!(demo["id"] == "demo" && demo["default"] == true && demo["ready"] == true, "{demo}");
    ensure!(text(demo, "weights_sha256").len() == 64 && demo["adapter_sha256"].is_null(), "{demo}");
    ensure!(demo["architecture"].is_object() && demo["device"] == "cpu", "{demo}");
    ensure!(demo["structures"].to_string().contains("lungs"), "{demo}");
    ensure!(client.get_json("/models/demo").await? == *demo);
    client.succeed(&Submission::fgsm().with("/model", "demo")).await?;
    let measured = client.get_json("/models/demo").await?;
    ensure!(measured["step_seconds"].as_f64() > Some(0.), "{measured}");
    service.finish().await
}

#[tokio::test]
async fn the_schema_of_every_method_accepts_its_defaults_and_no_unknown_field() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let methods = client.get_json("/attack-methods").await?;
    let items = methods["items"].as_array().context("items")?;
    let names: Vec<_> = items.iter().map(|item| text(item, "method")).collect();
    ensure!(names.contains(&"fgsm") && names.contains(&"pgd"), "{names:?}");
    for item in items {
        let method = text(item, "method");
        ensure!(client.get_json(&format!("/attack-methods/{method}")).await? == *item);
        for field in ["title", "threat_model", "steps_cost"] {
            ensure!(!text(item, field).is_empty(), "{field}: {item}");
        }
        ensure!(!text(&item["paper"], "title").is_empty(), "{item}");
        // What nature or the text does has no budget, so no norm; that of a patch is an area.
        let bounded = !["natural", "prompt"].contains(&text(item, "threat_model")) && method != "patch";
        ensure!(item["norms"].as_array().context("norms")?.is_empty() != bounded, "{item}");
        let schema = jsonschema::draft202012::new(&item["parameters"])?;
        let mut parameters = item["defaults"].clone();
        ensure!(schema.is_valid(&parameters), "{parameters} {}", item["parameters"]);
        parameters["no_such_parameter"] = json!(1);
        ensure!(!schema.is_valid(&parameters), "{}", item["parameters"]);
    }
    service.finish().await
}

#[tokio::test]
async fn the_schema_of_pgd_judges_as_the_service_does() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let method = client.get_json("/attack-methods/pgd").await?;
    let schema = jsonschema::draft202012::new(&method["parameters"])?;
    for (parameters, right) in [
        (json!({}), true),
        (json!({"steps": 2, "alpha": {"value": 1, "unit": "pixel255"}}), true),
        (json!({"steps": 2, "alpha": null, "random_start": false}), true),
        (json!({"steps": 0}), false),
        (json!({"steps": 2.5}), false),
        (json!({"restarts": 0}), false),
        (json!({"alpha": 2}), false),
        (json!({"alpha": {"value": -1, "unit": "pixel255"}}), false),
        (json!({"alpha": {"value": 1, "unit": "levels"}}), false),
        (json!({"random_start": 1}), false),
    ] {
        ensure!(schema.is_valid(&parameters) == right, "{parameters}: {}", method["parameters"]);
        let mut attack = parameters.clone();
        attack["method"] = "pgd".into();
        let answer = Answer::to(client.attack(&Submission::fgsm().with("/attack", attack))).await?;
        let answer = answer.with_status(if right { 202 } else { 422 })?;
        if right {
            client.succeeded(text(&answer.json()?, "id")).await?;
        }
    }
    service.finish().await
}

#[tokio::test]
async fn samples_can_be_fetched_and_attacked() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let samples = client.get_json("/samples").await?;
    let items = samples["items"].as_array().context("items")?;
    ensure!(items.iter().any(|sample| sample["name"] == "lungs"), "{samples}");
    for sample in items {
        let mut submission = Submission::fgsm().with("/prompt", text(sample, "prompt"));
        for part in ["image", "mask"] {
            let answer = Answer::to(client.get(text(sample, part))).await?.with_status(200)?;
            ensure!(answer.header("content-type") == "image/png", "{:?}", answer.headers);
            submission = submission.picture(part, answer.body.to_vec());
        }
        let mask = pictures::bits(&submission.pictures["mask"])?;
        ensure!(mask.area() > 0 && mask.area() < mask.width() * mask.height(), "{sample}");
        client.succeed(&submission).await?;
    }
    service.finish().await
}

#[tokio::test]
async fn health_version_and_metrics_are_answered() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    ensure!(client.get_json("/healthz").await? == json!({"status": "ok"}));
    let ready = client.get_json("/readyz").await?;
    let checks = json!({"store": "ok", "models": {"tiny": "ok"}, "artifacts": "ok"});
    ensure!(ready["status"] == "ok" && ready["checks"] == checks, "{ready}");
    let version = client.get_json("/version").await?;
    ensure!(version["name"] == "segprobe" && version["version"] == env!("CARGO_PKG_VERSION"), "{version}");
    ensure!(version.get("commit").is_some_and(|commit| matches!(commit, Value::Null | Value::String(_))));
    client.succeed(&Submission::pgd(3)).await?;
    let metrics = Answer::to(client.get("/metrics")).await?.with_status(200)?;
    ensure!(metrics.header("content-type").starts_with("text/plain"), "{:?}", metrics.headers);
    let metrics = String::from_utf8(metrics.body.to_vec())?;
    for line in [
        "segprobe_jobs_total{outcome=\"succeeded\"} 1",
        "segprobe_queue_jobs{state=\"queued\"} 0",
        "segprobe_step_seconds",
        "segprobe_queue_wait_seconds",
        "segprobe_http_requests_total",
        "segprobe_engine_healthy",
    ] {
        ensure!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    service.finish().await
}
