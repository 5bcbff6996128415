//! Pictures and bodies that cannot be used.

use anyhow::ensure;
use reqwest::RequestBuilder;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use super::{Wrong, check_all, invalid, refused};
use crate::harness::{Answer, Checked, Client, Options, Service, Submission, pictures};

fn with_picture(client: &Client, part: &'static str, bytes: &[u8]) -> RequestBuilder {
    client.attack(&Submission::fgsm().picture(part, bytes.to_vec()))
}

fn wrong_pictures(client: &Client) -> Vec<Wrong> {
    let (image, _) = pictures::lungs(1, 64, 48);
    let (other, other_mask) = pictures::lungs(1, 48, 64);
    let mut damaged = image.clone();
    damaged[60..80].fill(0x55);
    let (truncated, text) = (&image[..image.len() / 2], b"Dear colleague, the image is attached.");
    let target = |bytes: &[u8]| {
        client.attack(&Submission::fgsm().with("/goal", "target").picture("target_mask", bytes.to_vec()))
    };
    vec![
        invalid("no bytes", with_picture(client, "image", b""), "/image"),
        refused("a text", with_picture(client, "image", text), 415, "unsupported-media-type").blaming("/image"),
        invalid("cut off", with_picture(client, "image", truncated), "/image"),
        invalid("damaged", with_picture(client, "image", &damaged), "/image"),
        refused("a bomb", with_picture(client, "image", &pictures::bomb()), 413, "payload-too-large").blaming("/image"),
        invalid("a mask without bytes", with_picture(client, "mask", b""), "/mask"),
        invalid("a mask of another size", with_picture(client, "mask", &other_mask), "/mask"),
        invalid("a faint mask", with_picture(client, "mask", &pictures::flat(1, 64, 48)), "/mask"),
        refused("a mask that is a text", with_picture(client, "mask", text), 415, "unsupported-media-type")
            .blaming("/mask"),
        refused("a mask that is a bomb", with_picture(client, "mask", &pictures::bomb()), 413, "payload-too-large")
            .blaming("/mask"),
        invalid("an image of another size", with_picture(client, "image", &other), "/mask"),
        invalid("a region of another size", with_picture(client, "allowed_region", &other_mask), "/allowed_region"),
        invalid(
            "an empty region",
            with_picture(client, "allowed_region", &pictures::flat(0, 64, 48)),
            "/allowed_region",
        ),
        invalid("a target of another size", target(&other_mask), "/target_mask"),
        invalid("a damaged target", target(&damaged), "/target_mask"),
    ]
}

fn wrong_forms(client: &Client) -> Vec<Wrong> {
    let submission = Submission::fgsm();
    let file = || Part::bytes(submission.pictures["image"].clone()).file_name("image.png");
    let spec = || Form::new().text("spec", submission.spec.to_string());
    let send = |form: Form| client.post("/attacks").multipart(form);
    let only_image = || Form::new().part("image", file());
    vec![
        invalid("no image", send(spec()), "/image"),
        invalid("no spec", send(only_image()), "/spec"),
        invalid("an unknown part", send(spec().part("image", file()).text("colour", "red")), "/colour"),
        invalid("a repeated image", send(spec().part("image", file()).part("image", file())), "/image"),
        invalid("a repeated spec", send(spec().text("spec", "{}").part("image", file())), "/spec"),
        invalid("a spec that is not JSON", send(only_image().text("spec", "prompt=lungs")), "/spec"),
        invalid("a spec that is a list", send(only_image().text("spec", "[]")), "/spec"),
        invalid("a spec with NaN", send(only_image().text("spec", r#"{"seed": NaN}"#)), "/spec"),
        invalid("a very deep spec", send(only_image().text("spec", "[".repeat(5000))), "/spec"),
        invalid("a spec that is not UTF-8", send(only_image().part("spec", Part::bytes(vec![0xff; 9]))), "/spec"),
        refused("an endless spec", send(only_image().text("spec", " ".repeat(100_000))), 413, "payload-too-large")
            .blaming("/spec"),
    ]
}

fn wrong_json(client: &Client) -> Vec<Wrong> {
    let valid = Submission::fgsm().json();
    let changed = |field: &str, value: serde_json::Value| {
        let mut request = valid.clone();
        request[field] = value;
        client.post("/attacks").json(&request)
    };
    let body = |kind: &str, body: String| client.post("/attacks").header("content-type", kind).body(body);
    let bad = |name: &str, text: String| refused(name, body("application/json", text), 400, "bad-request");
    vec![
        invalid("an unknown field", changed("colour", json!("red")), "/colour"),
        invalid("an image that is not base64", changed("image", json!("not base64!")), "/image"),
        invalid("an image that is no text", changed("image", json!(5)), "/image"),
        invalid("an empty image", changed("image", json!("")), "/image"),
        invalid("a mask that is not base64", changed("mask", json!("====")), "/mask"),
        invalid("a spec that is a text", changed("spec", json!("{}")), "/spec"),
        invalid("no image", client.post("/attacks").json(&json!({"spec": valid["spec"]})), "/image"),
        invalid("no spec", client.post("/attacks").json(&json!({"image": valid["image"]})), "/spec"),
        bad("no body", String::new()),
        bad("half a body", valid.to_string()[..200].to_owned()),
        bad("NaN", valid.to_string().replace("\"value\":8", "\"value\":NaN")),
        bad("very deep JSON", "[".repeat(100_000)),
        refused("a text", body("text/plain", valid.to_string()), 415, "unsupported-media-type")
            .blaming("header: Content-Type"),
        refused("no content type", client.post("/attacks").body(valid.to_string()), 415, "unsupported-media-type")
            .blaming("header: Content-Type"),
        refused("a form without boundary", body("multipart/form-data", "x".into()), 400, "bad-request"),
        refused(
            "a form that is cut off",
            body("multipart/form-data; boundary=x", "--x\r\n".into()),
            400,
            "bad-request",
        ),
    ]
}

#[tokio::test]
async fn every_wrong_picture_is_named() -> Checked {
    let service = Service::start(Options::new()).await?;
    check_all(&service, wrong_pictures(&service.client())).await?;
    service.finish().await
}

#[tokio::test]
async fn every_wrong_form_is_refused() -> Checked {
    let service = Service::start(Options::new()).await?;
    check_all(&service, wrong_forms(&service.client())).await?;
    service.finish().await
}

#[tokio::test]
async fn every_wrong_json_body_is_refused() -> Checked {
    let service = Service::start(Options::new()).await?;
    check_all(&service, wrong_json(&service.client())).await?;
    service.finish().await
}

#[tokio::test]
async fn more_than_the_limits_allow_is_refused() -> Checked {
    let options = Options::new().set("limits.body_bytes", 200_000).set("limits.pixels", 5000).set("limits.side", 100);
    let service = Service::start(options).await?;
    let client = service.client();
    let padding = vec![b' '; 300_000];
    let large = pictures::lungs(1, 99, 99).0;
    let table = vec![
        refused("a form", with_picture(&client, "image", &padding), 413, "payload-too-large"),
        refused(
            "a JSON body",
            client.attack_as_json(&Submission::fgsm().picture("image", padding.clone())),
            413,
            "payload-too-large",
        ),
        refused("too many pixels", with_picture(&client, "image", &large), 413, "payload-too-large").blaming("/image"),
        refused("too wide", with_picture(&client, "image", &pictures::flat(9, 101, 2)), 413, "payload-too-large")
            .blaming("/image"),
    ];
    check_all(&service, table).await?;
    client.succeed(&Submission::fgsm()).await?;
    service.finish().await
}

#[tokio::test]
async fn a_content_type_with_parameters_is_understood() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let body = Submission::fgsm().json().to_string();
    let request = client.post("/attacks").header("content-type", "Application/JSON; charset=utf-8").body(body);
    let accepted = Answer::to(request).await?.with_status(202)?.json()?;
    ensure!(client.succeeded(crate::harness::text(&accepted, "id")).await?["state"] == "succeeded");
    service.finish().await
}
