//! `segprobe universal`: train one perturbation for many images, and hold it against controls.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::attack::criterion;
use super::cases::{self, Side};
use super::model_args::ModelArgs;
use crate::attack::universal::{About, FORMAT_VERSION, MadeOn, Measured as Before, Source};
use crate::attack::{Criterion, Epsilon, Norm, Unit, UniversalPerturbation};
use crate::engine::{Engine, EngineConfig};
use crate::evaluation::Case;
use crate::imaging::encode;
use crate::loss::Loss;
use crate::report::manifest::{Code, Machine, ModelIdentity};
use crate::universal::{
    DEFAULT_LOSS, Ends, Figures, Measured, Method, Moosavi, Pass, Plan, SgdUap, Split, markdown, measure, train,
};

/// Train one perturbation for many images; write it, and what it does to images that it has never seen.
#[derive(Debug, Args)]
pub struct UniversalArgs {
    /// Folder with images/, masks/ and prompts.json; may be given several times. Subjects that `segprobe train` keeps for
    /// validation are held out.
    #[arg(long, required = true, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// A folder that is not trained on: its validation images show what the perturbation does under other prompts.
    #[arg(long, value_name = "DIR")]
    transfer: Vec<PathBuf>,
    /// Share of the subjects that are held out.
    #[arg(long, default_value_t = 0.15)]
    validation_share: f64,
    /// Train on at most this many images of each folder, evenly spread over its file names.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Measure on at most this many held-out images of each folder.
    #[arg(long, value_name = "N")]
    held_out_limit: Option<usize>,
    /// sgd_uap: minibatches. moosavi: image by image, until each is broken.
    #[arg(long, value_enum, default_value = "sgd_uap")]
    method: MethodArg,
    /// How far any pixel may be changed, in --unit.
    #[arg(long, default_value_t = 8.)]
    epsilon: f64,
    /// Unit of --epsilon and --alpha.
    #[arg(long, value_enum, default_value = "pixel255")]
    unit: UnitArg,
    /// Passes over the images: 20, or at most 10 for moosavi.
    #[arg(long)]
    epochs: Option<usize>,
    /// Images of a minibatch (sgd_uap): 8.
    #[arg(long)]
    batch: Option<usize>,
    /// Length of a step: a quarter of epsilon, falling to nothing (sgd_uap), or a tenth (moosavi).
    #[arg(long)]
    alpha: Option<f64>,
    /// What is left of the running gradient after a step (sgd_uap): 0.9.
    #[arg(long)]
    momentum: Option<f64>,
    /// An image whose objective is at least this pulls no more (sgd_uap).
    #[arg(long)]
    cap: Option<f32>,
    /// Steps for one image, at most (moosavi): 5.
    #[arg(long)]
    steps: Option<usize>,
    /// Share of broken images at which the training ends (moosavi): 0.95.
    #[arg(long)]
    enough: Option<f64>,
    /// Loss that is raised: balanced_masked_ce, which leaves pixels that are won alone.
    #[arg(long, value_parser = PossibleValuesParser::new(Loss::ALL.map(Loss::name)))]
    loss: Option<String>,
    /// When an image is broken: dsc_below=T or drop_at_least=T.
    #[arg(long, value_name = "RULE=T", value_parser = criterion, default_value = "dsc_below=0.5")]
    success: Criterion,
    /// Seed of the order of images and of the controls.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Steps of APGD on each held-out image, the other end of the scale; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 40)]
    apgd_steps: usize,
    /// Attacks that run at once while it is measured.
    #[arg(long, value_name = "N", default_value_t = 8)]
    jobs: usize,
    #[command(flatten)]
    model: ModelArgs,
    /// The file, safetensors; a report is written beside it as .json and .md.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum MethodArg {
    /// Minibatches.
    SgdUap,
    /// Image by image.
    Moosavi,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum UnitArg {
    /// Levels of an 8-bit image: full scale is 255.
    Pixel255,
    /// Fractions of full scale.
    Unit01,
}

/// What the report holds.
#[derive(Serialize)]
struct Document<'a> {
    code: Code,
    machine: Machine,
    about: &'a About,
    plan: &'a Plan,
    passes: &'a [Pass],
    /// Whether it lowers the DSC of held-out images further than every control does.
    universal: Option<bool>,
    held_out: &'a Figures,
    training: &'a Figures,
    transfer: &'a Figures,
}

/// Runs the command.
///
/// # Errors
/// Flags, folders or a model that cannot be used.
pub fn run(args: &UniversalArgs) -> Result<()> {
    let plan = args.plan()?;
    let split = args.split()?;
    if split.left_out > 0 {
        eprintln!("{} images are left out of training: the same files are held out", split.left_out);
    }
    let (model, source) = args.model.open()?;
    let config = EngineConfig::default();
    let max_rows = config.max_rows.max(split.training.len() + args.jobs);
    let engine = Engine::spawn(Box::new(model), EngineConfig { max_rows, ..config })?;
    let identity = ModelIdentity::new(engine.name(), &source, args.model.adapter.as_deref())?;

    eprintln!("training on {} images, {} are held out", split.training.len(), split.held_out.len());
    let mut passes = vec![];
    let delta = train(&engine, &split.training, &plan, &mut |pass: &Pass| {
        let Pass { pass: number, loss, dsc, broken } = pass;
        eprintln!("pass {number}: objective {loss:.4}, DSC {dsc:.3}, {:.0} % broken", 100. * broken);
        passes.push(*pass);
    })?;
    let trained = UniversalPerturbation::new(&delta, about(&plan, &split, identity))?;
    eprintln!("measuring on {} images", split.training.len() + split.held_out.len() + split.transfer.len());
    let ends = Ends { apgd_steps: args.apgd_steps, jobs: args.jobs };
    let measured = measure(&engine, &split, (&trained, &plan), ends)?;
    let about =
        About { training: before(&measured.training), held_out: before(&measured.held_out), ..trained.about().clone() };
    let trained = trained.described(about)?;

    let document = Document {
        code: Code::this(),
        machine: Machine::this(engine.device(), engine.precision()),
        about: trained.about(),
        plan: &plan,
        passes: &passes,
        universal: measured.held_out.all.beats_controls(),
        held_out: &measured.held_out,
        training: &measured.training,
        transfer: &measured.transfer,
    };
    write(&args.out, &trained, &document, &measured)
}

/// Writes the file and the report beside it, and prints the report.
fn write(out: &Path, trained: &UniversalPerturbation, document: &Document, measured: &Measured) -> Result<()> {
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).with_context(|| format!("--out: cannot create {}", folder.display()))?;
    }
    let table = markdown(measured);
    encode::write(out, &trained.to_bytes()?)?;
    encode::write(&out.with_extension("json"), format!("{}\n", serde_json::to_string_pretty(document)?).as_bytes())?;
    encode::write(&out.with_extension("md"), table.as_bytes())?;
    println!("{table}\nwrote {}, and the report beside it as .json and .md", out.display());
    Ok(())
}

impl UniversalArgs {
    fn plan(&self) -> Result<Plan> {
        let only = |given: bool, flag: &str, method: MethodArg| {
            if given && self.method != method {
                let name = if method == MethodArg::SgdUap { "sgd_uap" } else { "moosavi" };
                bail!("{flag} is a parameter of --method {name} only: leave it out");
            }
            Ok(())
        };
        only(self.batch.is_some(), "--batch", MethodArg::SgdUap)?;
        only(self.momentum.is_some(), "--momentum", MethodArg::SgdUap)?;
        only(self.cap.is_some(), "--cap", MethodArg::SgdUap)?;
        only(self.steps.is_some(), "--steps", MethodArg::Moosavi)?;
        only(self.enough.is_some(), "--enough", MethodArg::Moosavi)?;
        if matches!(self.out.extension().and_then(|extension| extension.to_str()), Some("json" | "md")) {
            bail!("--out: the report is written as .json and .md: name the file .safetensors");
        }
        let alpha = self.alpha.map(|alpha| self.length(alpha).context("--alpha")).transpose()?;
        let method = match self.method {
            MethodArg::SgdUap => {
                let SgdUap { epochs, batch, momentum, .. } = SgdUap::default();
                Method::SgdUap(SgdUap {
                    epochs: self.epochs.unwrap_or(epochs),
                    batch: self.batch.unwrap_or(batch),
                    momentum: self.momentum.unwrap_or(momentum),
                    alpha,
                    cap: self.cap,
                })
            }
            MethodArg::Moosavi => {
                let Moosavi { epochs, steps, enough, .. } = Moosavi::default();
                Method::Moosavi(Moosavi {
                    epochs: self.epochs.unwrap_or(epochs),
                    steps: self.steps.unwrap_or(steps),
                    enough: self.enough.unwrap_or(enough),
                    alpha,
                })
            }
        };
        Ok(Plan {
            method,
            epsilon: self.length(self.epsilon).context("--epsilon")?,
            loss: self.loss.as_deref().and_then(|name| name.parse().ok()).unwrap_or(DEFAULT_LOSS),
            criterion: self.success,
            seed: self.seed,
        })
    }

    fn length(&self, value: f64) -> Result<Epsilon> {
        let unit = match self.unit {
            UnitArg::Pixel255 => Unit::Pixel255,
            UnitArg::Unit01 => Unit::Unit01,
        };
        Ok(Epsilon::new(value, unit)?)
    }

    fn split(&self) -> Result<Split> {
        let of = |folders: &[PathBuf], side: Side, limit: Option<usize>| -> Result<Vec<Case>> {
            let mut all = vec![];
            for folder in folders {
                all.extend(cases::list(folder, side, self.validation_share, limit)?);
            }
            Ok(all)
        };
        let held_out = |folders: &[PathBuf]| of(folders, Side::HeldOut, self.held_out_limit);
        let split =
            Split::new(of(&self.data, Side::Training, self.limit)?, held_out(&self.data)?, held_out(&self.transfer)?)?;
        if split.training.is_empty() || split.held_out.is_empty() {
            let (training, held_out) = (split.training.len(), split.held_out.len());
            bail!(
                "--data: {training} images to train on and {held_out} held out: both sides need some, change \
                 --validation-share or the limits"
            );
        }
        Ok(split)
    }
}

fn about(plan: &Plan, split: &Split, model: ModelIdentity) -> About {
    let mut sources: Vec<Source> = vec![];
    let all = split.training.iter().map(|case| (case, true)).chain(split.held_out.iter().map(|case| (case, false)));
    for (case, is_training) in all {
        let at = sources.iter().position(|source| source.set == case.set).unwrap_or_else(|| {
            let set = case.set.clone();
            sources.push(Source { set, prompts: vec![], training_images: 0, held_out_images: 0 });
            sources.len() - 1
        });
        let source = &mut sources[at];
        if is_training {
            source.training_images += 1;
            if !source.prompts.contains(&case.prompt) {
                source.prompts.push(case.prompt.clone());
            }
        } else {
            source.held_out_images += 1;
        }
    }
    About {
        format_version: FORMAT_VERSION,
        method: plan.method.name().into(),
        norm: Norm::Linf,
        epsilon: plan.epsilon,
        loss: plan.loss,
        seed: plan.seed,
        model: MadeOn { name: model.name, weights_sha256: model.weights_sha256, adapter_sha256: model.adapter_sha256 },
        sources,
        training: None,
        held_out: None,
    }
}

/// Mean DSC before and after, for the file.
fn before(figures: &Figures) -> Option<Before> {
    let clean_dsc = figures.all.clean_dsc?;
    Some(Before { clean_dsc, dsc: clean_dsc - figures.all.trained()?.dsc_drop?.mean })
}
