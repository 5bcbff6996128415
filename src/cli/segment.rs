//! `segprobe segment`: one image, one prompt, no attack.

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;

use super::model_args::ModelArgs;
use crate::engine::{Engine, EngineConfig};
use crate::evaluation::logits;
use crate::imaging::decode::{self, Limits};
use crate::imaging::{Mask, encode, npy, overlay};
use crate::metric::{DEFAULT_NSD_TOLERANCE_PX, MaskScores};
use crate::model::file_sha256;

/// Segment one image without an attack.
#[derive(Debug, Args)]
pub struct SegmentArgs {
    /// Image: PNG or JPEG.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// What to look for.
    #[arg(long, value_name = "TEXT")]
    prompt: String,
    /// Reference mask to score the prediction with.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Folder to write mask.png, probability.png, overlay.png and result.json to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the logits at the image's size too, as an f32 array for NumPy.
    #[arg(long, value_name = "FILE.npy")]
    save_logits: Option<PathBuf>,
}

/// What `result.json` says.
#[derive(Debug, Serialize)]
struct Outcome {
    segprobe: &'static str,
    prompt: String,
    model: UsedModel,
    image: UsedImage,
    mask_area_px: usize,
    mask_area_share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scores: Option<MaskScores>,
}

#[derive(Debug, Serialize)]
struct UsedModel {
    name: String,
    source: String,
    weights_sha256: String,
    adapter_sha256: Option<String>,
    device: String,
}

#[derive(Debug, Serialize)]
struct UsedImage {
    file: String,
    width: usize,
    height: usize,
    /// What reading the file changed.
    notes: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// An image, mask, model or prompt that cannot be used; a folder that cannot be written.
pub fn run(args: &SegmentArgs) -> Result<()> {
    if args.prompt.trim().is_empty() {
        bail!("--prompt is empty: say what to look for, such as \"polyp\"");
    }
    let decoded = decode::open(&args.image, &Limits::default())?;
    let image = &decoded.image;
    let reference = args.mask.as_deref().map(|path| decode::open_mask(path, &Limits::default())).transpose()?;
    reference.iter().try_for_each(|mask| mask.check_fits(image))?;

    let (model, source) = args.model.open()?;
    let engine = Engine::spawn(Box::new(model), EngineConfig::default())?;
    let logits = logits(&engine, image, &args.prompt)?;
    let prediction = Mask::from_logits(&logits)?;
    let scores = reference.as_ref().map(|mask| MaskScores::between(&prediction, mask, DEFAULT_NSD_TOLERANCE_PX));
    let outcome = Outcome {
        segprobe: env!("CARGO_PKG_VERSION"),
        prompt: args.prompt.clone(),
        model: UsedModel {
            name: engine.name().into(),
            source: source.to_string(),
            weights_sha256: source.weights_sha256()?,
            adapter_sha256: args.model.adapter.as_deref().map(file_sha256).transpose()?,
            device: args.model.device.to_string(),
        },
        image: UsedImage {
            file: args.image.display().to_string(),
            width: image.width(),
            height: image.height(),
            notes: decoded.notes.clone(),
        },
        mask_area_px: prediction.area(),
        mask_area_share: prediction.area() as f64 / prediction.bits().len() as f64,
        scores: scores.transpose()?,
    };

    std::fs::create_dir_all(&args.out).with_context(|| format!("--out: cannot create {}", args.out.display()))?;
    let caption = caption(&outcome);
    let picture = overlay::draw_prediction(image, &caption, &prediction, reference.as_ref())?;
    let logits = logits.flatten_all()?.to_vec1::<f32>()?;
    let size = (image.width(), image.height());
    let probabilities: Vec<f32> = logits.iter().map(|z| 1. / (1. + (-z).exp())).collect();
    if let Some(path) = &args.save_logits {
        encode::write(path, &npy::encode(&logits, size)?)?;
    }
    encode::write(&args.out.join("mask.png"), &encode::mask_png(&prediction)?)?;
    encode::write(&args.out.join("probability.png"), &encode::probability_png(&probabilities, size)?)?;
    encode::write(&args.out.join("overlay.png"), &encode::png(&picture)?)?;
    // Last, so that who finds it finds the pictures too.
    encode::write(&args.out.join("result.json"), format!("{}\n", serde_json::to_string_pretty(&outcome)?).as_bytes())?;
    print(&outcome, &args.out)
}

fn caption(outcome: &Outcome) -> String {
    let area = format!("{}: {:.1} % of the image", outcome.prompt, outcome.mask_area_share * 100.);
    match &outcome.scores {
        Some(scores) => format!("{area}, DSC {:.3}", scores.overlap.dsc),
        None => area,
    }
}

fn print(outcome: &Outcome, folder: &Path) -> Result<()> {
    let mut out = stdout().lock();
    let Outcome { image, model, scores, .. } = outcome;
    writeln!(out, "image        {} ({}x{} px)", image.file, image.width, image.height)?;
    for note in &image.notes {
        writeln!(out, "             {note}")?;
    }
    writeln!(out, "prompt       {}", outcome.prompt)?;
    writeln!(out, "model        {} ({}) on {}", model.name, model.source, model.device)?;
    writeln!(out, "mask area    {:.2} % of the image", outcome.mask_area_share * 100.)?;
    if let Some(scores) = scores {
        writeln!(out, "DSC          {:.4}", scores.overlap.dsc)?;
        writeln!(out, "IoU          {:.4}", scores.overlap.iou)?;
        writeln!(out, "HD95         {:.1} px", scores.surface.hd95_px)?;
    }
    writeln!(out, "written to   {}", folder.display())?;
    Ok(())
}
