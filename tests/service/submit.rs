//! From a submission to its files: shapes, numbers and downloads.

mod downloads;
mod every_method;
mod results;
mod transfer;
mod unbounded;
mod universal;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::harness::{Answer, Checked, Options, Service, Submission, pictures, text};

/// Every key of an attack; one without a value is there as null.
const KEYS: [&str; 23] = [
    "artifacts",
    "attempt",
    "caller",
    "cancel_requested",
    "comparison",
    "created_at",
    "duration_seconds",
    "eta_seconds",
    "failure",
    "finished_at",
    "id",
    "inputs",
    "links",
    "max_attempts",
    "model",
    "progress",
    "queue",
    "rerun_of",
    "result",
    "scores",
    "spec",
    "started_at",
    "state",
];

#[tokio::test]
async fn a_form_is_accepted_with_a_place_to_look() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let answer = Answer::to(client.attack(&Submission::fgsm().with("/labels/team", "radiology"))).await?;
    let answer = answer.with_status(202)?;
    let accepted = answer.json()?;
    let id = text(&accepted, "id");
    ensure!(answer.header("location") == format!("/attacks/{id}"), "{:?}", answer.headers);
    ensure!(["queued", "running"].contains(&text(&accepted, "state")), "{accepted}");
    ensure!(accepted["caller"] == "local" && accepted["model"] == "tiny", "{accepted}");
    ensure!(accepted["spec"]["labels"] == json!({"team": "radiology"}), "{accepted}");
    let image = &accepted["inputs"]["image"];
    ensure!(image["format"] == "png" && image["width"] == 64 && image["height"] == 48, "{image}");
    let links: Vec<_> = ["self", "events", "artifacts", "cancel", "rerun"]
        .map(|link| text(&accepted["links"], link).replace(id, "{id}"))
        .into();
    let expected = ["", "/events", "/artifacts.zip", "/cancel", "/rerun"].map(|end| format!("/attacks/{{id}}{end}"));
    ensure!(links == expected, "{links:?}");

    let ended = client.succeeded(id).await?;
    for attack in [&accepted, &ended] {
        let keys: Vec<_> = attack.as_object().context("an object")?.keys().map(String::as_str).collect();
        ensure!(keys == KEYS, "{keys:?}");
    }
    ensure!(ended["queue"].is_null() && ended["eta_seconds"].is_null() && ended["failure"].is_null(), "{ended}");
    ensure!(ended["attempt"] == 1 && ended["progress"]["step"] == ended["progress"]["steps"], "{ended}");
    service.finish().await
}

#[tokio::test]
async fn json_gives_the_same_files_as_a_form() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let submission = Submission::pgd(3);
    let from_form = client.succeed(&submission).await?;
    let accepted = Answer::to(client.attack_as_json(&submission)).await?.with_status(202)?.json()?;
    let from_json = client.succeeded(text(&accepted, "id")).await?;
    ensure!(hashes(&from_form) == hashes(&from_json), "{from_form} {from_json}");
    ensure!(from_form["spec"] == from_json["spec"] && from_form["inputs"] == from_json["inputs"]);
    service.finish().await
}

#[tokio::test]
async fn what_is_left_out_of_the_spec_is_filled_in_from_the_protocol() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let base = Submission::fgsm().with("/attack", json!({"method": "pgd"}));
    let default = client.succeed(&base).await?;
    ensure!(default["spec"]["attack"]["steps"] == 40 && default["spec"]["attack"]["random_start"] == true);
    let paper = client.succeed(&base.with("/protocol", "paper-2505.02971")).await?;
    ensure!(paper["spec"]["attack"]["random_start"] == false, "{paper}");
    ensure!(paper["result"]["request"]["loss"] == "dice_ce_paper", "{paper}");
    service.finish().await
}

#[tokio::test]
async fn a_caller_who_waits_is_answered_with_the_end() -> Checked {
    let service = Service::start(Options::new().set("server.max_wait_seconds", 30)).await?;
    let client = service.client();
    let quick = Answer::to(client.attack(&Submission::fgsm()).header("prefer", "wait=60")).await?.with_status(200)?;
    let ended = quick.json()?;
    ensure!(ended["state"] == "succeeded" && ended["result"].is_object(), "{ended}");
    ensure!(quick.header("location") == format!("/attacks/{}", text(&ended, "id")));
    ensure!(quick.header("preference-applied") == "wait=30", "capped by the setting: {:?}", quick.headers);

    let slow = Answer::to(client.attack(&Submission::long()).header("prefer", "wait=1")).await?.with_status(202)?;
    ensure!(slow.header("preference-applied") == "wait=1", "{:?}", slow.headers);
    client.cancelled(text(&slow.json()?, "id")).await?;

    let unclear =
        Answer::to(client.attack(&Submission::fgsm()).header("prefer", "wait=soon")).await?.with_status(202)?;
    ensure!(unclear.header("preference-applied").is_empty(), "RFC 7240: what is not understood is ignored");
    client.succeeded(text(&unclear.json()?, "id")).await?;
    service.finish().await
}

#[tokio::test]
async fn the_demo_model_is_there_without_any_settings() -> Checked {
    let service = Service::start(Options::new().with_demo_model()).await?;
    let client = service.client();
    let ended = client.succeed(&Submission::pgd(4)).await?;
    ensure!(ended["model"] == "demo", "{ended}");
    let [clean, adversarial] = ["clean_dsc", "adversarial_dsc"].map(|name| ended["scores"][name].as_f64());
    ensure!(clean > Some(0.5), "the model should see these lungs: {clean:?}");
    ensure!(adversarial < clean, "the attack should do damage: {clean:?} {adversarial:?}");
    service.finish().await
}

#[tokio::test]
async fn goals_use_their_masks_and_regions_are_kept() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let left = pictures::mask(64, 48, |x, _| x < 32);
    let corner = pictures::mask(64, 48, |x, y| x < 20 && y < 20);
    let target = Submission::pgd(3).with("/goal", "target").picture("target_mask", corner.clone());
    let ended = client.succeed(&target.picture("allowed_region", left)).await?;
    ensure!(ended["result"]["request"]["goal"] == "target", "{ended}");
    ensure!(ended["result"]["adversarial_file"]["dsc_to_target"].is_number(), "{ended}");
    let id = text(&ended, "id");
    let original = pictures::pixels(&client.artifact(id, "original.png").await?)?;
    let adversarial = pictures::pixels(&client.artifact(id, "adversarial.png").await?)?;
    let changed = |x: usize, y: usize| original.pixel(x, y) != adversarial.pixel(x, y);
    let changes = |from: usize, to: usize| (0..48).any(|y| (from..to).any(|x| changed(x, y)));
    ensure!(changes(0, 32) && !changes(32, 64), "only the left half may change");
    for goal in ["erase", "hallucinate"] {
        let ended = client.succeed(&Submission::fgsm().with("/goal", goal)).await?;
        ensure!(ended["result"]["request"]["goal"] == goal, "{ended}");
    }
    service.finish().await
}

#[tokio::test]
async fn the_answer_can_be_wanted_elsewhere_larger_or_of_another_structure() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let reference = pictures::mask(64, 48, |x, y| (10..40).contains(&x) && (10..40).contains(&y));
    for goal in [
        json!({"shift": {"dx_px": 12, "dy_px": -4}}),
        json!({"grow": {"percent": 20.0}}),
        json!({"shrink": {"percent": 50.0}}),
        json!({"swap": {"prompt": "lung fields"}}),
    ] {
        let asked = Submission::pgd(2).with("/goal", goal.clone()).picture("mask", reference.clone());
        let ended = client.succeed(&asked).await?;
        ensure!(ended["spec"]["goal"] == goal && ended["result"]["request"]["goal"] == goal, "{ended}");
        let result = &ended["result"];
        ensure!(result["adversarial_file"]["dsc_to_target"].is_number(), "{ended}");
        ensure!(result["success"]["criterion"]["dsc_to_target_at_least"].as_f64() >= Some(0.5), "{ended}");
    }
    service.finish().await
}

#[tokio::test]
async fn a_patch_is_scored_outside_of_itself_and_beside_its_controls() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let placement = json!({"rectangle": {"x": 40, "y": 4, "width": 16, "height": 12}});
    let attack = json!({"method": "patch", "steps": 4, "samples": 2, "placement": placement});
    let asked = Submission::fgsm().without("budget").with("/attack", attack);
    let ended = client.succeed(&asked).await?;
    let (result, id) = (&ended["result"], text(&ended, "id"));
    ensure!(result["patch"]["pixels"] == 192 && result["request"]["allowed_pixels"] == 192, "{ended}");
    ensure!(result["patch"]["share_of_image"] == 192. / (64. * 48.), "{ended}");
    for control in ["grey_dsc", "noise_dsc", "dsc", "share_of_reference"] {
        ensure!(result["patch"][control].is_number(), "{control}: {ended}");
    }
    ensure!(result["within_budget"].is_null() && result["queries"]["gradient"] == 8, "{ended}");
    let counts = &result["adversarial_file"]["confusion"];
    let counted: u64 = counts.as_object().into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum();
    ensure!(counted == 64 * 48 - 192, "{counts}");
    let [original, adversarial] = [
        pictures::pixels(&client.artifact(id, "original.png").await?)?,
        pictures::pixels(&client.artifact(id, "adversarial.png").await?)?,
    ];
    for (x, y) in (0..48).flat_map(|y| (0..64).map(move |x| (x, y))) {
        let inside = (40..56).contains(&x) && (4..16).contains(&y);
        ensure!(inside || original.pixel(x, y) == adversarial.pixel(x, y), "{x},{y} has changed");
    }
    let region = pictures::mask(64, 48, |x, y| x + y < 20);
    let shaped = Submission::fgsm().without("budget").with("/attack", json!({"method": "patch", "steps": 1}));
    let ended = client.succeed(&shaped.clone().picture("allowed_region", region.clone())).await?;
    ensure!(ended["result"]["patch"]["pixels"] == 210, "{ended}");

    let all = pictures::mask(64, 48, |_, _| true);
    let placed = shaped.clone().with("/attack/placement", placement.clone());
    for (asked, pointer) in [
        (placed.clone().picture("allowed_region", region), "/spec/attack/placement"),
        (shaped.clone().picture("allowed_region", all), "/allowed_region"),
        (placed.clone().with("/attack/placement/rectangle/x", 60), "/spec/attack/placement"),
        (placed.with("/attack/placement/rectangle/depth", 3), "/spec/attack/placement/rectangle/depth"),
        (shaped.clone().with("/attack/samples", 0), "/spec/attack/samples"),
        (shaped.with("/protocol", "corrected"), "/spec/protocol"),
    ] {
        let problem = Answer::to(client.attack(&asked)).await?.problem(422, "invalid")?;
        ensure!(problem["errors"][0]["pointer"] == pointer, "{pointer}: {problem}");
    }
    service.finish().await
}

#[tokio::test]
async fn a_goal_that_the_reference_does_not_allow_is_named() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let (some, none) = (pictures::mask(64, 48, |x, _| x < 9), pictures::mask(64, 48, |_, _| false));
    for (goal, mask, pointer) in [
        (json!({"shift": {"dx_px": -9}}), &some, "/spec/goal/shift"),
        (json!({"grow": {"percent": 900}}), &some, "/spec/goal/grow"),
        (json!({"grow": {"percent": 20}}), &none, "/spec/goal/grow"),
        (json!({"shrink": {"percent": 20}}), &none, "/spec/goal/shrink"),
    ] {
        let asked = Submission::fgsm().with("/goal", goal).picture("mask", mask.clone());
        let problem = Answer::to(client.attack(&asked)).await?.problem(422, "invalid")?;
        ensure!(problem["errors"][0]["pointer"] == pointer, "{problem}");
    }
    service.finish().await
}

#[tokio::test]
async fn a_deleted_attack_is_gone_with_its_files() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let id = text(&client.succeed(&Submission::fgsm()).await?, "id").to_owned();
    Answer::to(client.delete(&format!("/attacks/{id}"))).await?.with_status(204)?;
    for path in ["", "/artifacts", "/artifacts/adversarial.png", "/artifacts.zip", "/events"] {
        Answer::to(client.get(&format!("/attacks/{id}{path}"))).await?.problem(404, "not-found")?;
    }
    Answer::to(client.delete(&format!("/attacks/{id}"))).await?.problem(404, "not-found")?;
    let named: Vec<_> = files_below(&service.data())?.into_iter().filter(|path| path.contains(&id)).collect();
    ensure!(named.is_empty(), "{named:?}");
    service.finish().await
}

/// Names and hashes of an attack's files, without those of the manifest, which holds a duration.
pub fn hashes(attack: &Value) -> Vec<(String, String)> {
    let files = attack["artifacts"].as_array().into_iter().flatten();
    let files = files.map(|file| (text(file, "name").to_owned(), text(file, "sha256").to_owned()));
    files.filter(|(name, _)| name != "manifest.json").collect()
}

/// The paths of all files in a folder and below.
pub fn files_below(folder: &std::path::Path) -> anyhow::Result<Vec<String>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.push(path.display().to_string());
        }
    }
    Ok(found)
}
