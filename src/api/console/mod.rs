//! The console: one page for people, served from the program itself.
//!
//! It is written as the browser reads it, without a build step, and talks to the same API as everybody else. The page
//! is at `/`, what it needs below `/console/`. Browsers ask for a file each time and are told when theirs is the same,
//! so that a new version of the service never meets an old page.

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use headers::{ETag, HeaderMap, HeaderMapExt, IfNoneMatch};

use crate::report::manifest::sha256;

/// A file of the page.
struct File {
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        [$(File { name: $name, bytes: include_bytes!($name) }),+]
    };
}

const PAGE: File = File { name: "index.html", bytes: include_bytes!("index.html") };

/// All that the page asks for.
const FILES: &[File] = &files![
    "icon.svg",
    "console.css",
    "form.css",
    "result.css",
    "theme.js",
    "main.js",
    "api.js",
    "budget.js",
    "contour.js",
    "controls.js",
    "curl.js",
    "curve.js",
    "dom.js",
    "events.js",
    "fields.js",
    "files.js",
    "form.js",
    "goal.js",
    "job.js",
    "jobs.js",
    "pictures.js",
    "progress.js",
    "prompts.js",
    "result.js",
    "schema.js",
    "scores.js",
    "view.js",
    "viewer.js",
    "words.js",
];

/// The console at `/` and its files below `/console/`. Everybody may read them: they hold no data.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new().route("/", serve(&PAGE)), |router, file| {
        router.route(&format!("/console/{}", file.name), serve(file))
    })
}

/// Answers with a file, or with "not modified" to who has it.
fn serve<S: Clone + Send + Sync + 'static>(file: &'static File) -> axum::routing::MethodRouter<S> {
    let tag: ETag =
        format!("\"{}\"", sha256(file.bytes)).parse().expect("hexadecimal digits in quotes are an entity tag");
    get(async move |headers: HeaderMap| answer(file, &tag, headers.typed_get()))
}

fn answer(file: &'static File, tag: &ETag, known: Option<IfNoneMatch>) -> Response {
    let stale = known.is_none_or(|known| known.precondition_passes(tag));
    let mut response = match stale {
        true => ([(CONTENT_TYPE, file.content_type())], file.bytes).into_response(),
        false => StatusCode::NOT_MODIFIED.into_response(),
    };
    response.headers_mut().typed_insert(tag.clone());
    response.headers_mut().insert(CACHE_CONTROL, axum::http::HeaderValue::from_static("no-cache"));
    response
}

impl File {
    fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("html") => "text/html; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("svg") => "image/svg+xml",
            _ => "application/octet-stream",
        }
    }
}

#[cfg(test)]
mod tests;
