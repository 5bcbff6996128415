//! The served OpenAPI document is the one in the repository and knows every route.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::harness::{Answer, Checked, Options, Service, text};

const ROUTES: [(&str, &str); 22] = [
    ("post", "/attacks"),
    ("get", "/attacks"),
    ("get", "/attacks/{id}"),
    ("delete", "/attacks/{id}"),
    ("post", "/attacks/{id}/cancel"),
    ("post", "/attacks/{id}/rerun"),
    ("get", "/attacks/{id}/events"),
    ("get", "/attacks/{id}/artifacts"),
    ("get", "/attacks/{id}/artifacts/{name}"),
    ("get", "/attacks/{id}/artifacts.zip"),
    ("post", "/segmentations"),
    ("get", "/models"),
    ("get", "/models/{id}"),
    ("get", "/attack-methods"),
    ("get", "/attack-methods/{method}"),
    ("get", "/samples"),
    ("get", "/samples/{name}/{file}"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/openapi.json"),
    ("get", "/version"),
];

#[tokio::test]
async fn the_served_document_is_the_checked_in_one() -> Checked {
    let service = Service::start(Options::new()).await?;
    let served = service.client().get_json("/openapi.json").await?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    ensure!(served == kept, "run `cargo run -- openapi > openapi/openapi.json`");
    service.finish().await
}

#[tokio::test]
async fn the_document_knows_every_route_and_its_errors() -> Checked {
    let service = Service::start(Options::new()).await?;
    let document = service.client().get_json("/openapi.json").await?;
    ensure!(text(&document, "openapi").starts_with("3.1"), "{}", document["openapi"]);
    for (method, path) in ROUTES {
        let operation = &document["paths"][path][method];
        ensure!(operation.is_object(), "{method} {path} is missing");
        ensure!(!text(operation, "summary").is_empty() && !text(operation, "operationId").is_empty(), "{operation}");
        let answers = operation["responses"].as_object().context("responses")?;
        for (status, answer) in answers.iter().filter(|(status, _)| status.starts_with(['4', '5'])) {
            let known = answer["content"]["application/problem+json"].is_object() || answer["$ref"].is_string();
            // /readyz answers its checks with 503 too
            ensure!(known || path == "/readyz", "{method} {path} {status}: {answer}");
        }
    }
    service.finish().await
}

#[tokio::test]
async fn the_documentation_page_needs_no_other_server() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    for path in ["/docs/", "/"] {
        let page = Answer::to(client.get(path)).await?.with_status(200)?;
        ensure!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
        let page = String::from_utf8(page.body.to_vec())?;
        for foreign in ["src=\"http", "src=\"//", "href=\"//", "@import"] {
            ensure!(!page.contains(foreign), "{path} loads from elsewhere");
        }
    }
    service.finish().await
}

#[tokio::test]
async fn the_examples_of_the_document_are_accepted() -> Checked {
    let service = Service::start(Options::new()).await?;
    let client = service.client();
    let document = client.get_json("/openapi.json").await?;
    for (path, status) in [("/attacks", 202), ("/segmentations", 200)] {
        let examples = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"];
        let examples = examples.as_object().context("examples")?;
        ensure!(!examples.is_empty(), "{path} has no example");
        for example in examples.values() {
            let answer = Answer::to(client.post(path).json(&example["value"])).await?.with_status(status)?.json()?;
            if path == "/attacks" {
                client.succeeded(text(&answer, "id")).await?;
            }
        }
    }
    service.finish().await
}
