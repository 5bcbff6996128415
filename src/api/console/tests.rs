use std::collections::BTreeSet;
use std::path::Path;

use axum::body::{Body, to_bytes};
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{Method, Request};
use tower::ServiceExt;

use super::*;

async fn request(method: Method, path: &str, known: Option<&str>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(tag) = known {
        request = request.header(IF_NONE_MATCH, tag);
    }
    router::<()>().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

async fn text(path: &str) -> String {
    let response = request(Method::GET, path, None).await;
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().into()).unwrap()
}

/// What stands between `before` and the next quote.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn all_that_the_page_refers_to_is_served() {
    let page = text("/").await;
    let mut wanted: Vec<String> = [" src=\"", " href=\""]
        .iter()
        .flat_map(|before| quoted(&page, before))
        .filter(|path| path.starts_with("/console/"))
        .map(str::to_owned)
        .collect();
    let mut served = BTreeSet::new();
    while let Some(path) = wanted.pop() {
        let content = text(&path).await;
        if served.insert(path) {
            wanted.extend(quoted(&content, " from \"./").iter().map(|name| format!("/console/{name}")));
        }
    }
    let embedded = FILES.iter().map(|file| format!("/console/{}", file.name)).collect();
    assert_eq!(served, embedded, "what is served and what the page asks for differ");
}

#[test]
fn every_file_in_the_folder_is_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/console");
    for entry in folder.read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let embedded = FILES.iter().chain([&PAGE]).any(|file| file.name == name);
        assert!(embedded || name.ends_with(".rs"), "{name} is not embedded");
    }
}

#[tokio::test]
async fn nothing_comes_from_elsewhere_and_nothing_is_inline() {
    let page = text("/").await;
    assert!(page.contains("default-src 'self'"));
    assert!(
        !page.contains("style=") && !page.contains("<style") && !page.contains("<script>") && !page.contains(" on")
    );
    for file in FILES {
        let content = text(&format!("/console/{}", file.name)).await;
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
            assert!(!content.contains(forbidden), "{} uses {forbidden}", file.name);
        }
        // Links to papers and the name of the SVG namespace are no requests.
        let allowed = ["https://arxiv.org/abs/", "http://www.w3.org/2000/svg"];
        let rest = allowed.iter().fold(content, |content, address| content.replace(address, ""));
        assert!(!rest.contains("https://") && !rest.contains("http://"), "{} names another host", file.name);
    }
}

#[tokio::test]
async fn a_browser_that_has_the_file_is_not_sent_it_again() {
    let first = request(Method::GET, "/console/main.js", None).await;
    assert_eq!(first.headers()[CONTENT_TYPE], "text/javascript; charset=utf-8");
    assert_eq!(first.headers()[CACHE_CONTROL], "no-cache");
    let tag = first.headers()[ETAG].to_str().unwrap().to_owned();

    let again = request(Method::GET, "/console/main.js", Some(&tag)).await;
    assert_eq!((again.status(), again.headers()[ETAG].to_str().unwrap()), (StatusCode::NOT_MODIFIED, tag.as_str()));
    assert!(to_bytes(again.into_body(), usize::MAX).await.unwrap().is_empty());

    let old = request(Method::GET, "/console/main.js", Some("\"another\"")).await;
    assert_eq!(old.status(), StatusCode::OK);
    let head = request(Method::HEAD, "/", None).await;
    assert_eq!(
        (head.status(), head.headers()[CONTENT_TYPE].to_str().unwrap()),
        (StatusCode::OK, "text/html; charset=utf-8")
    );
    assert!(to_bytes(head.into_body(), usize::MAX).await.unwrap().is_empty());
}
