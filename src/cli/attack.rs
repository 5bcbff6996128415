//! `segprobe attack`: attack one image and write what came of it.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::attack_args::{AttackArgs, method_names};
use super::model_args::ModelArgs;
use super::transfer_args::TransferArgs;
use crate::attack::universal::MOST_BYTES;
use crate::attack::{AttackSpec, Budget, Criterion, Goal, GoalSpec, UniversalPerturbation, check_perturbation};
use crate::engine::{CancelToken, Engine, EngineConfig};
use crate::evaluation::{Artifact, AttackRequest, AttackRun, Control, Threat, named_container, run_attack};
use crate::imaging::{Decoded, Limits, Mask, decode, encode};
use crate::report::manifest::{Machine, Manifest, ModelIdentity, sha256};
use crate::report::table;

/// In levels of 255, and what else --unit says.
const DEFAULT_EPSILON: f64 = 8.;

/// Attack one image: write the adversarial image, the masks before and after, and all scores.
#[derive(Debug, Args)]
pub struct OneImageArgs {
    /// The image, PNG or JPEG.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// The reference mask, of the image's size; without it, the model's own clean prediction.
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// The text that names what to segment.
    #[arg(long, value_name = "TEXT")]
    prompt: String,
    /// The method.
    #[arg(long, value_parser = method_names(), default_value = "pgd")]
    method: String,
    /// How far the image may be changed, in --unit; 8 unless given, none for a method that has no budget.
    #[arg(long)]
    epsilon: Option<f64>,
    #[command(flatten)]
    attack: AttackArgs,
    /// The wrong answer that counts: untargeted, erase, hallucinate, target (--target-mask), shift=DX,DY (pixels to the
    /// right and down), grow=PERCENT, shrink=PERCENT (of the area), or swap=PROMPT (the model's own answer to that).
    #[arg(long, value_name = "GOAL", default_value_t)]
    goal: GoalSpec,
    /// The mask that the model should be made to answer.
    #[arg(long, value_name = "FILE")]
    target_mask: Option<PathBuf>,
    /// The only pixels that may change, as a mask.
    #[arg(long, value_name = "FILE")]
    allowed_region: Option<PathBuf>,
    /// When the attack has succeeded: dsc_below=T, drop_at_least=T or dsc_to_target_at_least=T.
    #[arg(long, value_name = "RULE=T", value_parser = criterion)]
    success: Option<Criterion>,
    /// What --method universal adds to the image: a file that `segprobe universal` has written.
    #[arg(long, value_name = "FILE")]
    perturbation: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    transfer: TransferArgs,
    /// Folder for the files; made if it is absent.
    #[arg(long, value_name = "DIR", default_value = "out")]
    out: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Flags, files or a model that cannot be used.
pub fn run(args: &OneImageArgs) -> Result<()> {
    let mut inputs = Inputs::default();
    let request = args.request(&mut inputs)?;
    let (model, source) = args.model.open()?;
    let engine = Engine::spawn(Box::new(model), EngineConfig::default())?;
    let others = args.transfer.open(&args.model)?;
    let identity = ModelIdentity::new(engine.name(), &source, args.model.adapter.as_deref())?;

    let points = request.attack.points() * if request.defence.is_some() { 2 } else { 1 };
    let bar = progress_bar(points, "{elapsed} {wide_bar} step {pos} of {len} {msg}");
    let mut progress = |record: &crate::attack::StepRecord| {
        bar.inc(1);
        bar.set_message(format!("DSC {:.3}", record.dsc));
    };
    let mut run = run_attack(&engine, &request, Control { cancel: CancelToken::default(), watcher: &mut progress })?;
    run.transfer_to(&others.engines)?;
    bar.finish_and_clear();

    let files = run.artifacts()?;
    let manifest = Manifest::new(
        (identity, others.identities, Machine::this(engine.device(), engine.precision())),
        inputs.sha256,
        (&run.result.request, run.duration),
        &files,
    );
    write_all(&args.out, &files, &manifest)?;
    print(&args.out, &run, &files);
    Ok(())
}

/// The SHA-256 of the files that were read, by role.
#[derive(Default)]
struct Inputs {
    sha256: BTreeMap<String, String>,
}

impl Inputs {
    /// Reads a file once for both its hash and its pixels: at most one byte more than the limit.
    fn read(&mut self, role: &str, path: &Path) -> Result<Vec<u8>> {
        let bytes = read(path, Limits::default().bytes)?;
        self.sha256.insert(role.into(), sha256(&bytes));
        Ok(bytes)
    }

    fn image(&mut self, path: &Path) -> Result<Decoded> {
        let bytes = self.read("image", path)?;
        let image = decode::decode(&bytes, &Limits::default()).with_context(|| path.display().to_string())?;
        Ok(Decoded { container: named_container(path).unwrap_or(image.container), ..image })
    }

    fn perturbation(&mut self, path: &Path) -> Result<Arc<UniversalPerturbation>> {
        let bytes = self.read("perturbation", path)?;
        Ok(Arc::new(UniversalPerturbation::from_bytes(&bytes).with_context(|| path.display().to_string())?))
    }

    fn mask(&mut self, role: &str, path: Option<&PathBuf>) -> Result<Option<Mask>> {
        let Some(path) = path else { return Ok(None) };
        let bytes = self.read(role, path)?;
        Ok(Some(decode::decode_mask(&bytes, &Limits::default()).with_context(|| path.display().to_string())?))
    }
}

impl OneImageArgs {
    fn request(&self, inputs: &mut Inputs) -> Result<AttackRequest> {
        self.attack.refuse_foreign(&[self.method.as_str()])?;
        let attack = self.attack.spec(&self.method)?;
        self.goal.check(&self.prompt)?;
        check_perturbation(&attack, self.perturbation.is_some()).context("--perturbation")?;
        let perturbation = self.perturbation.as_deref().map(|path| inputs.perturbation(path)).transpose()?;
        attack.check_defence(self.attack.defence.is_some()).context("--defence")?;
        Ok(AttackRequest {
            image: inputs.image(&self.image)?,
            reference: inputs.mask("mask", self.mask.as_ref())?,
            prompt: self.prompt.clone(),
            threat: Threat {
                budget: self.budget(&attack)?,
                goal: Goal::new(self.goal.clone(), inputs.mask("target_mask", self.target_mask.as_ref())?)?,
                region: inputs.mask("allowed_region", self.allowed_region.as_ref())?,
                criterion: self.success,
                perturbation,
            },
            attack,
            defence: self.attack.defence.clone(),
            protocol: self.attack.protocol,
            loss: self.attack.loss(),
            seed: self.attack.seed,
        })
    }
}

impl OneImageArgs {
    /// The budget, if the method has one.
    fn budget(&self, attack: &AttackSpec) -> Result<Option<Budget>> {
        match (attack.attack().is_bounded(), self.epsilon) {
            (true, epsilon) => self.attack.budget(epsilon.unwrap_or(DEFAULT_EPSILON)).map(Some),
            (false, None) => Ok(None),
            (false, Some(_)) => bail!("--epsilon: {} has no budget: leave it out", attack.method()),
        }
    }
}

/// A criterion as written on the command line, for example `dsc_below=0.5`.
pub(super) fn criterion(text: &str) -> Result<Criterion> {
    let rules = "use dsc_below=T, drop_at_least=T or dsc_to_target_at_least=T";
    let (rule, threshold) = text.split_once('=').with_context(|| rules)?;
    let threshold: f64 = threshold.parse().with_context(|| format!("the threshold {threshold:?} is not a number"))?;
    match rule {
        "dsc_below" => Ok(Criterion::DscBelow(threshold)),
        "drop_at_least" => Ok(Criterion::DropAtLeast(threshold)),
        "dsc_to_target_at_least" => Ok(Criterion::DscToTargetAtLeast(threshold)),
        _ => bail!("unknown rule {rule:?}: {rules}"),
    }
}

/// Reads a universal perturbation.
pub(super) fn perturbation(path: &Path) -> Result<UniversalPerturbation> {
    let bytes = read(path, MOST_BYTES as u64)?;
    UniversalPerturbation::from_bytes(&bytes).with_context(|| path.display().to_string())
}

/// At most one byte more than the limit.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {}", path.display()))?;
    Ok(bytes)
}

/// A progress bar on stderr, or nothing if stderr is not a terminal.
pub(super) fn progress_bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    ProgressBar::new(length).with_style(ProgressStyle::with_template(template).expect("a template of this program"))
}

/// Writes the files, the manifest last: where it stands, all files are complete.
fn write_all(folder: &Path, files: &[Artifact], manifest: &Manifest) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    for file in files {
        encode::write(&folder.join(&file.name), &file.bytes)?;
    }
    let mut text = serde_json::to_vec_pretty(manifest)?;
    text.push(b'\n');
    Ok(encode::write(&folder.join("manifest.json"), &text)?)
}

fn print(folder: &Path, run: &AttackRun, files: &[Artifact]) {
    print!("{}", table::attack(&run.result));
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).chain(["manifest.json"]).collect();
    println!("wrote {} to {} in {:.1} s", names.join(", "), folder.display(), run.duration.as_secs_f64());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn criteria_are_written_as_in_results() {
        assert_eq!(criterion("dsc_below=0.5").unwrap(), Criterion::DscBelow(0.5));
        assert_eq!(criterion("drop_at_least=0.3").unwrap(), Criterion::DropAtLeast(0.3));
        for wrong in ["dsc_below", "dsc_below=half", "iou_below=0.5"] {
            criterion(wrong).unwrap_err();
        }
    }
}
