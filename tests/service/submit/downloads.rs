//! Artifacts over HTTP: hashes, ranges, conditions, the zip.

use std::io::{Cursor, Read};

use anyhow::{Context, ensure};
use reqwest::Method;
use segprobe::report::manifest::sha256;
use serde_json::Value;

use crate::harness::{Answer, Checked, Client, Options, Service, Submission, pictures, text};

#[tokio::test]
async fn every_artifact_is_served_as_it_is_listed() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let ended = client.succeed(&Submission::pgd(2)).await?;
    let listed = client.get_json(&format!("/attacks/{}/artifacts", text(&ended, "id"))).await?;
    ensure!(listed["items"] == ended["artifacts"], "{listed}");
    let files = listed["items"].as_array().context("items")?;
    let mut names: Vec<_> = files.iter().map(|file| text(file, "name")).collect();
    names.sort_unstable();
    let expected = [
        "adversarial.png",
        "manifest.json",
        "mask_adversarial.png",
        "mask_clean.png",
        "original.png",
        "overlay.png",
        "perturbation.png",
        "reference.png",
        "result.json",
    ];
    ensure!(names == expected, "{names:?}");
    for file in files {
        check_download(&client, file).await.with_context(|| file.to_string())?;
    }
    service.finish().await
}

async fn check_download(client: &Client, file: &Value) -> Checked {
    let href = text(file, "href");
    let whole = Answer::to(client.get(href)).await?.with_status(200)?;
    let (hash, kind) = (text(file, "sha256"), text(file, "content_type"));
    ensure!(sha256(&whole.body) == hash && file["bytes"] == whole.body.len());
    ensure!(whole.header("content-type") == kind && ["image/png", "application/json"].contains(&kind));
    ensure!(whole.header("etag") == format!("\"{hash}\"") && whole.header("accept-ranges") == "bytes");
    ensure!(!whole.header("content-disposition").starts_with("attachment"));

    let head = Answer::to(client.request(Method::HEAD, href)).await?.with_status(200)?;
    ensure!(head.body.is_empty());
    for name in ["content-type", "etag", "content-length", "accept-ranges"] {
        ensure!(head.header(name) == whole.header(name), "{name}: {:?}", head.headers);
    }

    let known = client.get(href).header("if-none-match", format!("\"{hash}\""));
    ensure!(Answer::to(known).await?.with_status(304)?.body.is_empty());
    let other = client.get(href).header("if-none-match", "\"another\"");
    ensure!(Answer::to(other).await?.with_status(200)?.body == whole.body);

    let length = whole.body.len();
    for (range, from, to) in [
        ("bytes=0-9".to_owned(), 0, 10),
        ("bytes=5-".into(), 5, length),
        ("bytes=-7".into(), length - 7, length),
        (format!("bytes=3-{}", length * 2), 3, length),
    ] {
        let part = Answer::to(client.get(href).header("range", &range)).await?.with_status(206)?;
        ensure!(part.body == whole.body[from..to], "{range}");
        let place = format!("bytes {from}-{}/{length}", to - 1);
        ensure!(part.header("content-range") == place, "{range}: {:?}", part.headers);
    }
    let beyond = Answer::to(client.get(href).header("range", format!("bytes={length}-"))).await?;
    beyond.problem(416, "range-not-satisfiable")?;
    ensure!(beyond.header("content-range") == format!("bytes */{length}"), "{:?}", beyond.headers);

    let saved = Answer::to(client.get(&format!("{href}?download"))).await?.with_status(200)?;
    let disposition = saved.header("content-disposition");
    ensure!(disposition.starts_with("attachment") && disposition.contains(text(file, "name")), "{disposition}");
    Ok(())
}

#[tokio::test]
async fn the_zip_holds_every_artifact_unchanged() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let ended = client.succeed(&Submission::fgsm()).await?;
    let answer = Answer::to(client.get(text(&ended["links"], "artifacts"))).await?.with_status(200)?;
    ensure!(answer.header("content-type") == "application/zip", "{:?}", answer.headers);
    ensure!(answer.header("content-disposition").starts_with("attachment"), "{:?}", answer.headers);
    let mut archive = zip::ZipArchive::new(Cursor::new(&answer.body))?;
    let files = ended["artifacts"].as_array().context("artifacts")?;
    ensure!(archive.len() == files.len(), "{} of {}", archive.len(), files.len());
    for file in files {
        let mut bytes = vec![];
        archive.by_name(text(file, "name"))?.read_to_end(&mut bytes)?;
        ensure!(sha256(&bytes) == text(file, "sha256"), "{file}");
    }
    service.finish().await
}

#[tokio::test]
async fn a_protocol_that_keeps_the_container_answers_a_jpeg_for_a_jpeg() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let paper = Submission::fgsm().with("/protocol", "paper-2505.02971");
    let ended = client.succeed(&paper.picture("image", pictures::lungs_jpeg(1, 64, 48))).await?;
    ensure!(ended["inputs"]["image"]["format"] == "jpeg", "{ended}");
    let path = format!("/attacks/{}/artifacts/adversarial.jpg", text(&ended, "id"));
    let answer = Answer::to(client.get(&path)).await?.with_status(200)?;
    ensure!(answer.header("content-type") == "image/jpeg" && answer.body.starts_with(&[0xff, 0xd8, 0xff]));
    service.finish().await
}
