//! What a model sees in an image, without an attack.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Runner;
use super::examples;
use super::problem::{Always, Problem, Refused};
use super::upload::Parts;
use super::{App, elsewhere};
use crate::access::audit::AuditRecord;
use crate::evaluation::{RunError, logits};
use crate::imaging::{Decoded, Mask, Selection, Window, encode};
use crate::jobs::Host;
use crate::metric::{DEFAULT_NSD_TOLERANCE_PX, MaskScores};
use crate::report::manifest::sha256;

const PICTURES: &[&str] = &["image", "mask"];

const MOST_PROMPT_CHARACTERS: usize = 1000;

/// What to look for. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SegmentationSpec {
    /// The text that names the structure.
    #[schema(min_length = 1, max_length = 1000, pattern = "\\S", example = "lungs")]
    prompt: String,
    /// Name of a model of `GET /models`; the default model if left out.
    model: Option<String>,
    /// Which frame of a DICOM or TIFF file with several, from 0.
    #[schema(maximum = 4294967295_u32)]
    frame: Option<u32>,
    /// Which grey levels of a DICOM image become black and white; the file's own window if left out.
    window: Option<Window>,
}

/// A question as form data.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described here: the parts are read one by one")]
#[serde(deny_unknown_fields)]
struct SegmentationForm {
    /// The image: PNG, JPEG, TIFF or DICOM.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// A mask of the image's size to score the answer with.
    #[schema(value_type = Option<String>, format = Binary, nullable = false)]
    mask: Option<Vec<u8>>,
    /// What to look for, at most 64 KiB of JSON.
    spec: SegmentationSpec,
}

/// A question as JSON.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only described here: the fields are read one by one")]
#[serde(deny_unknown_fields)]
struct SegmentationRequest {
    /// The image: PNG, JPEG, TIFF or DICOM, in base64.
    #[schema(content_encoding = "base64", min_length = 4)]
    image: String,
    /// A mask of the image's size to score the answer with, in base64.
    #[schema(content_encoding = "base64", min_length = 4)]
    mask: Option<String>,
    /// What to look for.
    spec: SegmentationSpec,
}

/// What the model sees.
#[derive(Debug, Serialize, ToSchema)]
struct Segmentation {
    /// Name of the model.
    model: String,
    /// What was looked for.
    prompt: String,
    /// Columns.
    width: usize,
    /// Rows.
    height: usize,
    /// Number of pixels in the mask.
    area_px: usize,
    /// Scores against the mask that was handed in.
    #[schema(required)]
    scores: Option<MaskScores>,
    /// The mask as a PNG in base64: 255 inside, 0 outside.
    #[schema(content_encoding = "base64", content_media_type = "image/png")]
    mask: String,
    /// The probability of each pixel as a grey PNG in base64: 255 is 1.
    #[schema(content_encoding = "base64", content_media_type = "image/png")]
    probability: String,
    /// What was changed on the way from the file to the pixels, one sentence each.
    notes: Vec<String>,
}

/// The routes of this resource.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(segment_image))
}

/// Segment an image without an attack
///
/// The answer comes at once; nothing is kept.
#[utoipa::path(
    post,
    path = "/segmentations",
    tag = "segmentations",
    request_body(description = "The image and what to look for", content(
        (SegmentationRequest = "application/json", examples(
            ("lungs" = (summary = "A very small X-ray phantom", value = json!(examples::segmentation()))),
        )),
        (SegmentationForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "What the model sees", body = Segmentation),
        Refused<400>, Refused<413>, Refused<415>, Refused<422>, Always,
    ),
)]
async fn segment_image(State(app): State<App>, _runner: Runner, request: Request) -> Result<Response, Problem> {
    let (request, copy) = app.copy_for_others(request).await?;
    let mut parts = Parts::read(request, PICTURES).await?;
    let spec = SegmentationSpec::read(&parts.spec()?)?;
    let unknown = || Problem::invalid("/spec/model", "there is no such model: see GET /models");
    let Some(host) = app.jobs.hosts().find(spec.model.as_deref()).cloned() else {
        let model = app.jobs.catalogue().find(spec.model.as_deref()).ok_or_else(unknown)?;
        let (headers, body) = copy.ok_or_else(unknown)?;
        return elsewhere::ask(&app.peers, &model, "/segmentations", (&headers, body)).await;
    };
    let (image, mask) = (parts.required("image")?, parts.optional("mask"));
    let mut inputs = BTreeMap::from([("image".to_owned(), sha256(&image))]);
    inputs.extend(mask.iter().map(|mask| ("mask".to_owned(), sha256(mask))));

    let selection = Selection { frame: spec.frame, window: spec.window };
    let image = app.jobs.picture(image, "/image", selection).await?;
    let reference = match mask {
        None => None,
        Some(mask) => Some(app.jobs.mask(mask, "/mask").await?),
    };
    if let Some(mask) = &reference {
        mask.check_fits(&image.image).map_err(|error| Problem::picture("/mask", &error))?;
    }
    let question = Question { host, prompt: spec.prompt, image, reference };
    // Attacks share the engine, but the pictures of an answer are made here: a few at once are enough.
    let turn = app.segmenting.clone().acquire_owned().await.map_err(|error| Problem::internal(&error))?;
    let answered = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        question.answer()
    });
    let answer = answered.await.map_err(|error| Problem::internal(&error))??;
    Ok((axum::Extension(AuditRecord { job: None, inputs }), Json(answer)).into_response())
}

impl SegmentationSpec {
    fn read(json: &[u8]) -> Result<Self, Problem> {
        let mut reader = serde_json::Deserializer::from_slice(json);
        let spec: Self = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let path = error.path().iter().filter_map(|segment| match segment {
                serde_path_to_error::Segment::Map { key } => Some(format!("/{key}")),
                _ => None,
            });
            Problem::invalid(format!("/spec{}", path.collect::<String>()), error.inner().to_string())
        })?;
        reader.end().map_err(|error| Problem::invalid("/spec", error.to_string()))?;
        if spec.prompt.trim().is_empty() || spec.prompt.chars().count() > MOST_PROMPT_CHARACTERS {
            let detail = format!("name the structure to segment in 1 to {MOST_PROMPT_CHARACTERS} characters");
            return Err(Problem::invalid("/spec/prompt", detail));
        }
        match spec.window {
            Some(window) if window.width < 1. => {
                Err(Problem::invalid("/spec/window/width", "the width of the window has to be at least 1"))
            }
            _ => Ok(spec),
        }
    }
}

/// All that an answer needs.
struct Question {
    host: Arc<Host>,
    prompt: String,
    image: Decoded,
    reference: Option<Mask>,
}

impl Question {
    fn answer(self) -> Result<Segmentation, RunError> {
        let Self { host, prompt, image: Decoded { image, notes, .. }, reference } = self;
        let size = (image.width(), image.height());
        let logits = logits(&host.engine(), &image, &prompt)?;
        let mask = Mask::from_logits(&logits)?;
        let logits = logits.flatten_all()?.to_vec1::<f32>()?;
        let probabilities: Vec<f32> = logits.iter().map(|z| 1. / (1. + (-z).exp())).collect();
        let scores = reference.map(|reference| MaskScores::between(&mask, &reference, DEFAULT_NSD_TOLERANCE_PX));
        Ok(Segmentation {
            model: host.name.clone(),
            prompt,
            width: size.0,
            height: size.1,
            area_px: mask.area(),
            scores: scores.transpose()?,
            mask: BASE64_STANDARD.encode(encode::mask_png(&mask)?),
            probability: BASE64_STANDARD.encode(encode::probability_png(&probabilities, size)?),
            notes,
        })
    }
}
