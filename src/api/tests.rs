//! The routes as a whole, as far as they need no jobs.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::header::{ALLOW, CONTENT_TYPE};
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::testing::{ask, get, json as body, service};
use crate::access::Scope;

fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn the_document_in_the_repository_is_the_one_of_the_handlers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi/openapi.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let served = body(get("/openapi.json").await).await;
    assert!(kept == served, "run `cargo run -- openapi > openapi/openapi.json`");
}

#[test]
fn every_route_says_what_it_does_and_every_reference_leads_somewhere() {
    let document = serde_json::to_value(super::document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].clone().to_string()).collect();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path}");
            assert!(operations.insert(operation["operationId"].to_string()), "{method} {path}");
            assert!(tags.contains(&operation["tags"][0].to_string()), "{method} {path}");
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let is_problem = answer["content"]["application/problem+json"].is_object();
                assert_eq!(is_problem, status.starts_with(['4', '5']), "{method} {path} {status}");
            }
        }
    }
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem() {
    for path in ["/no-such-page", "/attacks/unknown", "/attacks/", "/models/unknown", "/attack-methods/magic"] {
        let response = get(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json", "{path}");
        assert_eq!(body(response).await["type"], "/problems/not-found", "{path}");
    }
    for path in ["/samples/x/image.png", "/samples/lungs/notes.txt", "/samples/..%2fprompts.json", "/models/%ff"] {
        assert_eq!(get(path).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_ones() {
    let cancel = format!("/attacks/{}/cancel", crate::jobs::JobId::new());
    for (method, path, allowed) in [
        (Method::PUT, "/attacks", "POST"),
        (Method::DELETE, "/attacks", "GET"),
        (Method::GET, &cancel, "POST"),
        (Method::POST, "/models", "GET"),
    ] {
        let response = ask(request(method.clone(), path)).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(response.headers()[ALLOW].to_str().unwrap().contains(allowed), "{method} {path}");
        assert_eq!(body(response).await["type"], "/problems/method-not-allowed");
    }
}

#[tokio::test]
async fn a_reader_may_look_but_not_submit() {
    let send = |method, path| service(Scope::Reader).oneshot(request(method, path));
    let refused = send(Method::POST, "/attacks").await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(body(refused).await["detail"].as_str().unwrap().contains("runner"));
    assert_eq!(send(Method::POST, "/segmentations").await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(send(Method::GET, "/attack-methods").await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_in_both_forms() {
    for content_type in ["application/json", "multipart/form-data; boundary=x"] {
        let mut text = "--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\n".to_owned();
        text.push_str(&"7".repeat(400_000));
        let request = Request::post("/attacks").header(CONTENT_TYPE, content_type).body(text.into()).unwrap();
        let response = ask(request).await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE, "{content_type}");
        assert_eq!(body(response).await["type"], "/problems/payload-too-large");
    }
}

#[tokio::test]
async fn questions_that_make_no_sense_are_refused_before_any_picture_is_read() {
    for (spec, pointer) in [
        (json!({"prompt": ""}), "/spec/prompt"),
        (json!({"prompt": 5}), "/spec/prompt"),
        (json!({"prompt": "x", "steps": 3}), "/spec/steps"),
        (json!({"prompt": "x", "model": "gpt"}), "/spec/model"),
        (json!({"prompt": "x", "window": {"center": 0, "width": 0}}), "/spec/window/width"),
        (json!([]), "/spec"),
    ] {
        let text = json!({"spec": spec, "image": "AA=="}).to_string();
        let request = Request::post("/segmentations").header(CONTENT_TYPE, "application/json").body(text.into());
        let response = ask(request.unwrap()).await;
        assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY, "{spec}");
        assert_eq!(body(response).await["errors"][0]["pointer"], pointer, "{spec}");
    }
}

#[tokio::test]
async fn methods_samples_and_version_are_answered() {
    let methods = body(get("/attack-methods").await).await;
    assert_eq!(body(get("/attack-methods/pgd").await).await, methods["items"][1]);
    assert_eq!(methods["items"][1]["defaults"]["steps"], 40);
    for sample in body(get("/samples").await).await["items"].as_array().unwrap() {
        let response = get(sample["mask"].as_str().unwrap()).await;
        assert_eq!(
            (response.status(), &response.headers()[CONTENT_TYPE]),
            (StatusCode::OK, &"image/png".parse().unwrap())
        );
    }
    assert_eq!(body(get("/version").await).await["name"], "segprobe");
}

#[tokio::test]
async fn a_head_has_the_headers_of_the_file_and_no_body() {
    let response = ask(request(Method::HEAD, "/samples/lungs/image.png")).await;
    assert_eq!(response.headers()["content-length"], "99677");
    assert!(to_bytes(response.into_body(), 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_documentation_page_needs_no_other_server() {
    let page = get("/docs/").await;
    assert_eq!(page.status(), StatusCode::OK);
    let page = String::from_utf8(to_bytes(page.into_body(), 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(page.contains("swagger-ui") && !page.contains("http://") && !page.contains("https://"), "{page}");
    let start = get("/docs/swagger-initializer.js").await;
    let start = to_bytes(start.into_body(), 1 << 20).await.unwrap();
    assert!(String::from_utf8(start.to_vec()).unwrap().contains("/openapi.json"));
}
