//! Pictures to try the service on: phantoms that come with the program, with exact masks.

use axum::Json;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::extract::At;
use super::file;
use super::problem::{Kind, Problem, Refused};

/// A sample's files in the source tree.
struct Embedded {
    name: &'static str,
    prompt: &'static str,
    image: &'static [u8],
    mask: &'static [u8],
}

macro_rules! embedded {
    ($name:literal, $prompt:literal) => {
        Embedded {
            name: $name,
            prompt: $prompt,
            image: include_bytes!(concat!("../../samples/images/", $name, ".png")),
            mask: include_bytes!(concat!("../../samples/masks/", $name, ".png")),
        }
    };
}

const SAMPLES: [Embedded; 4] = [
    embedded!("lungs", "lungs"),
    embedded!("polyp", "polyp"),
    embedded!("skin-lesion", "skin lesion"),
    embedded!("fetal-head", "fetal head"),
];

/// A picture to try, and what to ask of it.
#[derive(Debug, Serialize, ToSchema)]
struct Sample {
    /// Its name.
    name: &'static str,
    /// The text that asks for the mask.
    prompt: &'static str,
    /// Where the image is.
    image: String,
    /// Where the exact mask is.
    mask: String,
}

/// All samples.
#[derive(Debug, Serialize, ToSchema)]
struct SampleList {
    /// The samples.
    items: Vec<Sample>,
}

/// A file of a sample.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
enum SampleFile {
    #[serde(rename = "image.png")]
    Image,
    #[serde(rename = "mask.png")]
    Mask,
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_samples)).routes(routes!(get_sample))
}

/// List pictures to try
#[utoipa::path(
    get,
    path = "/samples",
    tag = "catalogue",
    security(()),
    responses((status = 200, description = "The samples", body = SampleList), Refused<500>),
)]
async fn list_samples() -> Json<SampleList> {
    let sample = |Embedded { name, prompt, .. }: &Embedded| Sample {
        name,
        prompt,
        image: format!("/samples/{name}/image.png"),
        mask: format!("/samples/{name}/mask.png"),
    };
    Json(SampleList { items: SAMPLES.iter().map(sample).collect() })
}

/// Fetch a picture to try
#[utoipa::path(
    get,
    path = "/samples/{name}/{file}",
    tag = "catalogue",
    security(()),
    params(
        ("name" = String, Path, description = "Name of the sample", example = "lungs"),
        ("file" = inline(SampleFile), Path, description = "Which of its files"),
    ),
    responses(
        (status = 200, description = "The picture", body = Vec<u8>, content_type = "image/png"),
        Refused<404>, Refused<500>,
    ),
)]
async fn get_sample(At((name, wanted)): At<(String, SampleFile)>, headers: HeaderMap) -> Result<Response, Problem> {
    let absent = || Problem::new(Kind::NotFound, "there is no such sample: see GET /samples");
    let sample = SAMPLES.iter().find(|sample| sample.name == name).ok_or_else(absent)?;
    let bytes = match wanted {
        SampleFile::Image => sample.image,
        SampleFile::Mask => sample.mask,
    };
    let response = file::respond(file::embedded(bytes, "image/png"), &headers)?;
    // A new version of the program may have others.
    Ok(([(CACHE_CONTROL, "no-cache")], response).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::Limits;
    use crate::imaging::decode::{decode, decode_mask};

    #[test]
    fn the_samples_are_those_of_the_source_tree_with_their_prompts() {
        let prompts: std::collections::BTreeMap<String, String> =
            serde_json::from_str(include_str!("../../samples/prompts.json")).unwrap();
        assert_eq!(prompts.len(), SAMPLES.len());
        for sample in SAMPLES {
            assert_eq!(prompts[&format!("{}.png", sample.name)], sample.prompt);
            let image = decode(sample.image, &Limits::default()).unwrap().image;
            decode_mask(sample.mask, &Limits::default()).unwrap().check_fits(&image).unwrap();
        }
    }
}
