//! `segprobe models`: which models are here.

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use serde_json::json;

use crate::model::clipseg::LoadError;
use crate::model::{Description, Source};

/// List the models: the demo model, and the folders below ./models.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// Folder whose subfolders are models.
    #[arg(long, value_name = "DIR", default_value = "models")]
    folder: PathBuf,
    /// Write JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command. A model that cannot be read is listed with the reason.
///
/// # Errors
/// A folder that cannot be listed.
pub fn run(args: &ModelsArgs) -> Result<()> {
    let found: Vec<(Source, Result<Description, LoadError>)> =
        Source::list(&args.folder)?.into_iter().map(|source| (source.clone(), Description::of(&source))).collect();
    let mut out = stdout().lock();
    if args.json {
        let list = found.iter().map(|(source, description)| match description {
            Ok(description) => json!(description),
            Err(error) => json!({"source": source.to_string(), "error": error.to_string()}),
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&list.collect::<Vec<_>>())?)?;
        return Ok(());
    }
    for (source, description) in &found {
        match description {
            Ok(description) => write!(out, "{}", text(description))?,
            Err(error) => writeln!(out, "{source}\n  unusable     {error}")?,
        }
    }
    Ok(())
}

/// A model in a few lines.
fn text(model: &Description) -> String {
    let a = &model.architecture;
    let layers = a.extract_layers.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let mut lines = vec![
        format!("{} ({})", model.name, model.source),
        format!("  input        {0}x{0} px in patches of {1} px", a.input_px, a.patch_px),
        format!("  vision       {} layers, {} wide; layers {layers} are decoded", a.vision_layers, a.vision_width),
        format!("  text         {} layers, {} wide, {} tokens", a.text_layers, a.text_width, a.vocabulary),
        format!("  decoder      {} wide", a.decoder_width),
        format!("  parameters   {}", a.parameters),
        format!("  weights      sha256 {}", model.weights_sha256),
    ];
    let prompts: Vec<String> = model.structures.iter().map(|s| s.phrasings.join(", ")).collect();
    match prompts.is_empty() {
        true => lines.push("  prompts      not said (no phrasings.json)".into()),
        false => lines.push(format!("  prompts      {}", prompts.join("\n               "))),
    }
    lines.join("\n") + "\n"
}
