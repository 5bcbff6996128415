use axum::body::Body;
use axum::http::Request as HttpRequest;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;
use crate::api::testing;

const KNOWN: &[&str] = &["image", "mask"];

async fn read(content_type: &str, body: impl Into<Body>) -> Result<Parts, Problem> {
    let request = HttpRequest::post("/").header(CONTENT_TYPE, content_type).body(body.into()).unwrap();
    Parts::read(request, KNOWN).await
}

async fn as_json(body: &Value) -> Result<Parts, Problem> {
    read("application/json; charset=utf-8", body.to_string()).await
}

async fn as_form(parts: &[(&str, &str)]) -> Result<Parts, Problem> {
    let part = |(name, text): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n")
    };
    let body = parts.iter().map(part).collect::<String>() + "--x--\r\n";
    read("Multipart/Form-Data; boundary=x", body).await
}

/// Status and pointer of what was refused.
async fn refused(parts: Result<Parts, Problem>) -> (u64, String) {
    let document = testing::json(parts.unwrap_err().into_response()).await;
    let pointer = document["errors"][0]["pointer"].as_str().unwrap_or_default().to_owned();
    (document["status"].as_u64().unwrap(), pointer)
}

#[tokio::test]
async fn a_form_and_json_hold_the_same() {
    let form = as_form(&[("spec", r#"{"prompt":"x"}"#), ("image", "pixels")]).await.unwrap();
    let json = as_json(&json!({"image": "cGl4ZWxz", "mask": null, "spec": {"prompt": "x"}})).await.unwrap();
    for mut parts in [form, json] {
        assert_eq!(parts.required("image").unwrap(), "pixels");
        assert_eq!(parts.spec().unwrap(), r#"{"prompt":"x"}"#);
        assert_eq!(parts.optional("mask"), None);
        assert!(parts.required("image").is_err(), "it was taken out");
    }
}

#[tokio::test]
async fn escapes_in_json_are_read() {
    let mut parts = read("application/json", r#"{"im\u0061ge": "cGl4\u005aWxz"}"#).await.unwrap();
    assert_eq!(parts.required("image").unwrap(), "pixels");
}

#[tokio::test]
async fn unknown_and_repeated_parts_are_named() {
    let unknown = (422, "/colour".to_owned());
    assert_eq!(refused(as_form(&[("colour", "red")]).await).await, unknown);
    assert_eq!(refused(as_json(&json!({"colour": "red"})).await).await, unknown);
    let odd = refused(as_json(&json!({"a/b~c": 1})).await).await;
    assert_eq!(odd, (422, "/a~1b~0c".into()));
    let twice = (422, "/image".to_owned());
    assert_eq!(refused(as_form(&[("image", "1"), ("image", "2")]).await).await, twice);
    assert_eq!(refused(read("application/json", r#"{"image":"AA==","image":"AA=="}"#).await).await, twice);
}

#[tokio::test]
async fn what_is_not_strict_base64_is_refused() {
    for wrong in [json!("not base64!"), json!("===="), json!("AA"), json!("AB=="), json!("A A="), json!(5), json!([])] {
        let answer = refused(as_json(&json!({"image": wrong})).await).await;
        assert_eq!(answer, (422, "/image".into()), "{wrong}");
    }
}

#[tokio::test]
async fn a_spec_is_bounded() {
    let long = " ".repeat(MOST_SPEC_BYTES + 1);
    assert_eq!(refused(as_form(&[("spec", &long)]).await).await, (413, "/spec".into()));
    assert_eq!(refused(as_json(&json!({"spec": long})).await).await, (413, "/spec".into()));
    as_form(&[("spec", &long[1..])]).await.unwrap();
}

#[tokio::test]
async fn bodies_that_are_not_what_they_say_are_bad_requests() {
    let many = (0..100).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(",");
    let deep = format!("{{\"spec\":{}", "[".repeat(100_000));
    for body in ["", "[]", "{", "\"x\"", "{\"image\": NaN}", &format!("{{{many}}}"), &deep, "{} {}"] {
        let (status, _) = refused(read("application/json", body.to_owned()).await).await;
        assert_eq!(status, 400, "{}", &body[..body.len().min(40)]);
    }
    assert_eq!(refused(read("multipart/form-data", "x").await).await.0, 400);
    assert_eq!(refused(read("multipart/form-data; boundary=x", "--x\r\n").await).await.0, 400);
    assert_eq!(refused(read("text/plain", "{}").await).await.0, 415);
}

#[tokio::test]
async fn a_whole_form_in_a_body_that_is_cut_off_is_refused() {
    let form = Ok(Bytes::from("--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\npixels\r\n--x--\r\n"));
    let cut = Err(std::io::Error::other("the client is gone"));
    let body = Body::from_stream(futures_util::stream::iter([form, cut]));
    assert_eq!(refused(read("multipart/form-data; boundary=x", body).await).await.0, 400);
}
