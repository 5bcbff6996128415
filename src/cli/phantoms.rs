//! `segprobe phantoms`: draw synthetic pictures with exact masks.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::phantom::{Kind, samples, write_folder, write_samples};

/// Longest side of a phantom in pixels.
const LONGEST: usize = 8192;

/// Draw synthetic medical pictures with exact masks, to try the other commands on.
#[derive(Debug, Args)]
pub struct PhantomsArgs {
    /// Folder for images/, masks/ and prompts.json; without --kind, for one such folder of each kind.
    #[arg(long, value_name = "DIR", required_unless_present = "samples")]
    out: Option<PathBuf>,
    /// Draw this kind only: endoscopy, dermoscopy, ultrasound or xray.
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// How many of each kind.
    #[arg(long, default_value_t = 8)]
    count: u64,
    /// Seed of the first; the others follow.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Width and height in pixels.
    #[arg(long, value_name = "WxH", default_value = "352x288", value_parser = size)]
    size: (usize, usize),
    /// Draw the project's own samples instead, into --out or the folder samples.
    #[arg(long, conflicts_with_all = ["kind", "count", "seed", "size"])]
    samples: bool,
}

fn kind(text: &str) -> Result<Kind> {
    let names = Kind::ALL.map(Kind::name).join(", ");
    Kind::ALL.into_iter().find(|kind| kind.name() == text).with_context(|| format!("the kinds are {names}"))
}

fn size(text: &str) -> Result<(usize, usize)> {
    let sides = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    let (width, height) = sides.context("write width and height as in 352x288")?;
    if !(1..=LONGEST).contains(&width) || !(1..=LONGEST).contains(&height) {
        bail!("both sides must be from 1 to {LONGEST} pixels");
    }
    Ok((width, height))
}

/// Runs the command.
///
/// # Errors
/// A folder or file that cannot be written.
pub fn run(args: &PhantomsArgs) -> Result<()> {
    let out = args.out.clone().unwrap_or_else(|| "samples".into());
    if args.samples {
        return Ok(write_samples(&out, &samples())?);
    }
    let end = args.seed.checked_add(args.count).context("--seed and --count: their sum is too large")?;
    match args.kind {
        Some(kind) => write_folder(kind, &out, args.seed..end, args.size)?,
        None => {
            for kind in Kind::ALL {
                write_folder(kind, &out.join(kind.name()), args.seed..end, args.size)?;
            }
        }
    }
    Ok(())
}
