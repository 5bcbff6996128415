//! What the catalogue lists can be asked for: every method, by nothing but what `GET /attack-methods` says of it.

use anyhow::{Context, ensure};
use serde_json::json;

use crate::harness::{Checked, Options, Service, Submission, text};
use crate::submit::universal;

/// Parameters that decide how long a method takes, and few of them.
const FEW: [(&str, u64); 4] = [("steps", 4), ("queries", 12), ("rounds", 1), ("candidates", 3)];

#[tokio::test]
async fn every_method_of_the_catalogue_is_a_job_that_succeeds() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let methods = client.get_json("/attack-methods").await?;
    let mut jobs = vec![];
    for item in methods["items"].as_array().context("items")? {
        let method = text(item, "method");
        let known = &item["parameters"]["properties"];
        let mut attack = json!({"method": method});
        for (name, few) in FEW.iter().filter(|(name, _)| known.get(name).is_some()) {
            attack[name] = json!(few);
        }
        let submission = Submission::fgsm().with("/attack", attack);
        let submission = match item["norms"][0].as_str() {
            None => submission.without("budget"),
            Some(norm) => {
                let levels = if norm == "l2" { 2000 } else { 8 };
                submission.with("/budget", json!({"norm": norm, "epsilon": {"value": levels, "unit": "pixel255"}}))
            }
        };
        let submission =
            if method == "universal" { submission.picture("perturbation", universal::file(4.)?) } else { submission };
        jobs.push((method, client.submit(&submission).await.context(method.to_owned())?));
    }
    ensure!(jobs.len() > 25, "{} methods", jobs.len());
    for (method, id) in &jobs {
        let job = client.succeeded(id).await.context((*method).to_owned())?;
        let result = &job["result"];
        ensure!(result["request"]["attack"]["method"] == **method, "{result}");
        ensure!(result["within_budget"] != false, "{method}: {result}");
        ensure!(result["adversarial_file"]["dsc"].is_f64(), "{method}: {result}");
        ensure!(!client.artifact(id, "adversarial.png").await?.is_empty(), "{method}");
    }
    service.finish().await
}
