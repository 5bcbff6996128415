//! Specs that make no sense, field by field.

use serde_json::{Value, json};

use super::{Wrong, check_all, invalid};
use crate::harness::{Checked, Options, Service, Submission, pictures};

/// Fields of a spec, the value that is wrong, and what is blamed.
fn wrong_fields() -> Vec<(&'static str, Value, &'static str)> {
    let long = "x".repeat(1001);
    let many: serde_json::Map<_, _> = (0..17).map(|i| (i.to_string(), json!("x"))).collect();
    vec![
        ("/epsilons", json!(8), "/spec/epsilons"),
        ("/prompt", json!(""), "/spec/prompt"),
        ("/prompt", json!(" \t\n"), "/spec/prompt"),
        ("/prompt", json!(long), "/spec/prompt"),
        ("/prompt", json!(5), "/spec/prompt"),
        ("/prompt", Value::Null, "/spec/prompt"),
        ("/attack", json!("pgd"), "/spec/attack"),
        ("/attack", json!({}), "/spec/attack*"),
        ("/attack/method", json!("magic"), "/spec/attack/method"),
        ("/attack/step", json!(3), "/spec/attack/step"),
        ("/attack/steps", json!(0), "/spec/attack/steps"),
        ("/attack/steps", json!(-1), "/spec/attack/steps"),
        ("/attack/steps", json!(1.5), "/spec/attack/steps"),
        ("/attack/steps", json!("40"), "/spec/attack/steps"),
        ("/attack/steps", json!(1_000_000_000), "/spec/attack/steps"),
        ("/attack/restarts", json!(0), "/spec/attack/restarts"),
        ("/attack/restarts", json!(10_000), "/spec/attack*"),
        ("/attack/alpha", json!({"value": 0.1}), "/spec/attack/alpha*"),
        ("/attack/random_start", json!("yes"), "/spec/attack/random_start"),
        ("/budget", json!(8), "/spec/budget"),
        ("/budget/radius", json!(8), "/spec/budget/radius"),
        ("/budget/norm", json!("l0"), "/spec/budget/norm"),
        ("/budget/epsilon", json!(8), "/spec/budget/epsilon"),
        ("/budget/epsilon", json!({"value": 8}), "/spec/budget/epsilon*"),
        ("/budget/epsilon/value", json!(-1), "/spec/budget/epsilon*"),
        ("/budget/epsilon/value", json!("NaN"), "/spec/budget/epsilon/value"),
        ("/budget/epsilon/value", Value::Null, "/spec/budget/epsilon/value"),
        ("/budget/epsilon/value", json!(256), "/spec/budget/epsilon*"),
        ("/budget/epsilon/unit", json!("unit01"), "/spec/budget/epsilon*"),
        ("/budget/epsilon/unit", json!("levels"), "/spec/budget/epsilon/unit"),
        ("/goal", json!("destroy"), "/spec/goal"),
        ("/goal", json!("target"), "/target_mask"),
        ("/goal", json!("grow"), "/spec/goal"),
        ("/goal", json!({"shift": {"dx_px": 0, "dy_px": 0}}), "/spec/goal/shift"),
        ("/goal", json!({"shift": {"dx_px": "far"}}), "/spec/goal/shift/dx_px"),
        ("/goal", json!({"shrink": {"percent": 100}}), "/spec/goal/shrink/percent"),
        ("/goal", json!({"swap": {"prompt": " LUNGS "}}), "/spec/goal/swap/prompt"),
        ("/success", json!({"dsc_below": 2}), "/spec/success*"),
        ("/success", json!({"dsc_to_target_at_least": 0.5}), "/spec/success*"),
        ("/success", json!({"looks_bad": 1}), "/spec/success*"),
        ("/protocol", json!("paper"), "/spec/protocol"),
        ("/loss", json!("mse"), "/spec/loss"),
        ("/seed", json!(-1), "/spec/seed"),
        ("/seed", json!("seed"), "/spec/seed"),
        ("/model", json!("gpt"), "/spec/model"),
        ("/priority", json!(99), "/spec/priority"),
        ("/priority", json!(-10), "/spec/priority"),
        ("/labels", json!(["a"]), "/spec/labels"),
        ("/labels", Value::Object(many), "/spec/labels"),
        ("/labels", json!({"x".repeat(65): "x"}), "/spec/labels*"),
        ("/labels/team", json!("x".repeat(257)), "/spec/labels*"),
        ("/labels/team", json!(5), "/spec/labels/team"),
        ("/window", json!({"center": 0, "width": 0}), "/spec/window*"),
        ("/window", json!({"center": 0}), "/spec/window*"),
        ("/frame", json!(-1), "/spec/frame"),
    ]
}

#[tokio::test]
async fn every_wrong_field_is_named_in_json_and_in_a_form() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let mut table: Vec<Wrong> = vec![];
    for (field, value, blames) in wrong_fields() {
        let submission = Submission::pgd(3).with(field, value.clone());
        let shown: String = value.to_string().chars().take(40).collect();
        table.push(invalid(format!("{field} = {shown}"), client.attack_as_json(&submission), blames));
        table.push(invalid(format!("{field} = {shown} in a form"), client.attack(&submission), blames));
    }
    for field in ["prompt", "attack", "budget"] {
        let submission = Submission::pgd(3).without(field);
        table.push(invalid(format!("without {field}"), client.attack_as_json(&submission), "/spec*"));
    }
    check_all(&service, table).await?;
    service.finish().await
}

#[tokio::test]
async fn fields_that_contradict_each_other_are_named() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let mask = pictures::mask(64, 48, |x, _| x < 9);
    let frozen = |field, value: Value| Submission::pgd(40).with("/protocol", "corrected").with(field, value);
    let table = vec![
        invalid("a frozen protocol with other steps", client.attack(&frozen("/attack/steps", json!(3))), "/spec*"),
        invalid("a frozen protocol with another loss", client.attack(&frozen("/loss", json!("bce"))), "/spec/loss"),
        invalid(
            "restarts that are all the same",
            client.attack(&Submission::pgd(3).with("/attack/restarts", 2).with("/attack/random_start", false)),
            "/spec/attack/restarts",
        ),
        invalid(
            "a target mask that no goal uses",
            client.attack(&Submission::fgsm().picture("target_mask", mask)),
            "/target_mask",
        ),
        invalid(
            "steps of a method that has none",
            client.attack(&Submission::fgsm().with("/attack/steps", 3)),
            "/spec/attack/steps",
        ),
    ];
    check_all(&service, table).await?;
    service.finish().await
}

#[tokio::test]
async fn an_epsilon_in_the_wrong_unit_is_explained() -> Checked {
    let service = Service::start(Options::new()).await?;
    let wrong = Submission::fgsm().with("/budget/epsilon/unit", "unit01");
    let problem = crate::harness::Answer::to(service.client().attack(&wrong)).await?.problem(422, "invalid")?;
    anyhow::ensure!(problem.to_string().contains("did you mean pixel255?"), "{problem}");
    service.finish().await
}
