//! `segprobe train`: fit a model, or adapters on one.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use crate::model::clipseg::{AdapterKind, AdapterScope};
use crate::train::{Length, Progress, Stage, Start, TrainConfig, train};

/// Fit a model on folders of images, masks and prompts.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Folder with images/, masks/ and prompts.json; may be given several times.
    #[arg(long, required = true, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// Folder to write the model to.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Start from random weights for the config.json of this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "model", required_unless_present = "model")]
    architecture: Option<PathBuf>,
    /// Fine-tune this model folder.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// Leave the model as it is and train adapters on it.
    #[arg(long, value_enum, requires = "model")]
    adapters: Option<Adapters>,
    /// Which sides carry adapters: v(ision), l(anguage), c(onditional embedding).
    #[arg(long, default_value = "vlc", requires = "adapters")]
    adapter_sides: String,
    /// Inner width of the adapters.
    #[arg(long, default_value_t = 64, requires = "adapters")]
    adapter_width: usize,
    /// JSON file with several phrasings of every structure.
    #[arg(long, value_name = "FILE")]
    phrasings: Option<PathBuf>,
    /// Share of the subjects kept for validation.
    #[arg(long, default_value_t = 0.15)]
    validation_share: f64,
    /// Number of steps; the same seed gives the same model.
    #[arg(long, conflicts_with = "minutes", required_unless_present = "minutes")]
    steps: Option<usize>,
    /// Wall-clock budget instead of a number of steps; the result then depends on the machine.
    #[arg(long)]
    minutes: Option<f64>,
    /// Images per step.
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Peak learning rate.
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
    /// Steps of linear warm-up.
    #[arg(long, default_value_t = 300)]
    warm_up: usize,
    /// Train at a smaller size first: PIXELS@SHARE, until that share of the run is over; may be
    /// given several times, in order.
    #[arg(long, value_name = "PIXELS@SHARE", value_parser = stage)]
    stage: Vec<Stage>,
    /// A set of n images is drawn with weight n^BALANCE: 0 treats all sets alike, 1 all images.
    #[arg(long, default_value_t = 0.6)]
    balance: f64,
    /// Share of rows asked for another structure, with an empty mask.
    #[arg(long, default_value_t = 0.17)]
    wrong_prompts: f64,
    /// Steps between validations; the model is written at each.
    #[arg(long, default_value_t = 500)]
    validate_every: usize,
    /// Seed of weights, views and prompts.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Go on from the state in --out.
    #[arg(long)]
    resume: bool,
}

/// Where adapters sit.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Adapters {
    /// In every encoder layer before the last extracted one.
    Dense,
    /// On the extracted states.
    Shallow,
}

impl TrainArgs {
    fn config(&self) -> Result<TrainConfig> {
        let start = match (&self.architecture, &self.model, self.adapters) {
            (Some(folder), _, _) => Start::Architecture(folder.clone()),
            (None, Some(folder), None) => Start::Model(folder.clone()),
            (None, Some(folder), Some(kind)) => Start::Adapters(folder.clone(), self.scope(kind)?),
            (None, None, _) => bail!("name an --architecture to start from, or a --model to fine-tune"),
        };
        for (name, value) in [("--validation-share", self.validation_share), ("--wrong-prompts", self.wrong_prompts)] {
            if !(0. ..1.).contains(&value) {
                bail!("{name} {value} must be at least 0 and below 1");
            }
        }
        if self.batch == 0 || self.validate_every == 0 {
            bail!("--batch and --validate-every must be positive");
        }
        let length = match (self.steps, self.minutes) {
            (Some(steps), _) => Length::Steps(steps),
            (None, Some(minutes)) if minutes > 0. => Length::Time(Duration::from_secs_f64(minutes * 60.)),
            _ => bail!("give a positive number of --steps or --minutes"),
        };
        Ok(TrainConfig {
            data: self.data.clone(),
            validation_share: self.validation_share,
            phrasings: self.phrasings.clone(),
            start,
            out: self.out.clone(),
            length,
            batch: self.batch,
            rate: self.rate,
            warm_up: self.warm_up,
            stages: self.stage.clone(),
            balance: self.balance,
            wrong_prompts: self.wrong_prompts,
            validate_every: self.validate_every,
            seed: self.seed,
            resume: self.resume,
        })
    }

    fn scope(&self, kind: Adapters) -> Result<AdapterScope> {
        if self.adapter_sides.is_empty() || self.adapter_sides.chars().any(|c| !"vlc".contains(c)) {
            bail!("--adapter-sides {:?} must be made of the letters v, l and c", self.adapter_sides);
        }
        let has = |side| self.adapter_sides.contains(side);
        Ok(AdapterScope {
            kind: match kind {
                Adapters::Dense => AdapterKind::Dense,
                Adapters::Shallow => AdapterKind::Shallow,
            },
            vision: has('v'),
            text: has('l'),
            conditional: has('c'),
            width: self.adapter_width,
            conditional_width: 256,
        })
    }
}

fn stage(text: &str) -> Result<Stage, String> {
    let wrong = || format!("{text:?} is not of the form PIXELS@SHARE, such as 128@0.65");
    let (size, until) = text.split_once('@').ok_or_else(wrong)?;
    Ok(Stage { size: size.parse().map_err(|_| wrong())?, until: until.parse().map_err(|_| wrong())? })
}

/// Runs the command.
///
/// # Errors
/// Settings or data that do not fit; see [`train`].
pub fn run(args: &TrainArgs) -> Result<()> {
    let scores = train(&args.config()?, &mut print)?;
    println!("{:<28}{:>8}{:>8}{:>14}{:>14}", "set", "images", "DSC", "area, right", "area, wrong");
    for score in scores {
        let wrong = score.area_wrong_prompt.map_or_else(|| "-".into(), |a| format!("{a:.3}"));
        println!(
            "{:<28}{:>8}{:>8.3}{:>14.3}{:>14}",
            score.set, score.images, score.dsc, score.area_right_prompt, wrong
        );
    }
    Ok(())
}

fn print(line: &Progress) -> ControlFlow<()> {
    let Progress { step, minutes, progress, loss, rate, size, images_per_second, scores } = line;
    eprintln!(
        "step {step} | {minutes:.1} min | {:.0} % | loss {loss:.4} | rate {rate:.1e} | {size} px | {images_per_second:.1} images/s",
        progress * 100.
    );
    if !scores.is_empty() {
        let list: Vec<String> = scores.iter().map(|s| format!("{} {:.3}", s.set, s.dsc)).collect();
        eprintln!("  validation DSC: {}", list.join(", "));
    }
    ControlFlow::Continue(())
}
