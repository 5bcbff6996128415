//! `segprobe evaluate`: data sets times a grid of attacks, and the table of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::attack::{criterion, perturbation, progress_bar};
use super::attack_args::AttackArgs;
use super::cases::{self, Side};
use super::failure::NotAccepted;
use super::model_args::ModelArgs;
use super::transfer_args::{Others, TransferArgs};
use crate::acceptance::{Acceptance, Criteria};
use crate::attack::{AttackSpec, Criterion, GoalSpec, Protocol, Unit, catalogue};
use crate::engine::{Engine, EngineConfig};
use crate::evaluation::{CLEAN, Grid, Journal, Named, Planned, Summary, run_grid};
use crate::imaging::encode;
use crate::oracle::defended::Defence;
use crate::report::manifest::{Code, Machine, ModelIdentity};
use crate::report::{acceptance, summary};

/// Segment and attack every image of data sets, and summarise.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// Folder with images/, masks/ and prompts.json; may be given several times.
    #[arg(long, required = true, value_name = "DIR")]
    data: Vec<PathBuf>,
    /// All images, or only those that training keeps for validation.
    #[arg(long, value_enum, default_value = "all")]
    split: Split,
    /// Share of the subjects that training keeps for validation.
    #[arg(long, default_value_t = 0.15)]
    validation_share: f64,
    /// At most this many images of each folder, evenly spread over its file names.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Attack methods; `none` alone segments the clean images only.
    #[arg(long, value_parser = method_or_none(), default_values = ["fgsm", "pgd"])]
    method: Vec<String>,
    /// Epsilons of the methods that have a budget, separated by commas, in --unit.
    #[arg(long, value_delimiter = ',', default_values_t = [1., 2., 4., 8.])]
    epsilon: Vec<f64>,
    /// The wrong answer that counts: untargeted, erase, hallucinate (all of the image), shift=DX,DY (pixels to the right and
    /// down), grow=PERCENT, shrink=PERCENT (of the area), or swap=PROMPT (the model's own answer to that).
    #[arg(long, value_name = "GOAL", default_value_t)]
    goal: GoalSpec,
    /// When an attack has succeeded: dsc_below=T, drop_at_least=T or dsc_to_target_at_least=T.
    #[arg(long, value_name = "RULE=T", value_parser = criterion)]
    success: Option<Criterion>,
    /// What --method universal adds to the images: a file that `segprobe universal` has written; each is a column.
    #[arg(long, value_name = "FILE")]
    perturbation: Vec<PathBuf>,
    /// What is asked of the model, as docs/acceptance.md explains (TOML). Then the evaluation ends in a judgement, in
    /// summary.md, summary.json and junit.xml: the exit code is 0 if the model is accepted, 3 if it is rejected, and 4 if
    /// the evidence decides neither.
    #[arg(long, value_name = "FILE")]
    acceptance: Option<PathBuf>,
    #[command(flatten)]
    attack: AttackArgs,
    /// Attacks that run at once, sharing the batches of the model; a GPU is fast with many.
    #[arg(long, value_name = "N", default_value_t = 8)]
    jobs: usize,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    transfer: TransferArgs,
    /// Folder for results.csv, summary.json and summary.md; made if it is absent. What its measured.jsonl holds of an
    /// earlier run of this program, on the same files, with the same models and parameters, is not measured again.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Split {
    /// Every image.
    All,
    /// The validation share alone.
    Validation,
}

const UNIVERSAL: &str = "universal";

/// The file that an evaluation goes on from, in the folder of its results.
const JOURNAL: &str = "measured.jsonl";

fn method_or_none() -> PossibleValuesParser {
    PossibleValuesParser::new(catalogue::names().iter().copied().chain([CLEAN]))
}

/// What `summary.json` holds.
#[derive(Serialize)]
struct Document<'a> {
    code: Code,
    model: ModelIdentity,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transfer_to: Vec<ModelIdentity>,
    machine: Machine,
    #[serde(skip_serializing_if = "Option::is_none")]
    defence: Option<&'a Defence>,
    protocol: Protocol,
    goal: &'a GoalSpec,
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<Criterion>,
    unit: Unit,
    seed: u64,
    attacks: Vec<&'a AttackSpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acceptance: Option<&'a Acceptance>,
    #[serde(flatten)]
    summary: &'a Summary,
}

/// Runs the command.
///
/// # Errors
/// Flags, folders or a model that cannot be used; a model that is [not accepted](NotAccepted). An image that cannot be
/// used is reported in its row.
pub fn run(args: &EvaluateArgs) -> Result<()> {
    let mut grid = args.grid()?;
    let criteria = args.acceptance.as_deref().map(Criteria::read).transpose().context("--acceptance")?;
    let mut cases = vec![];
    for folder in &args.data {
        let side = if args.split == Split::All { Side::Both } else { Side::HeldOut };
        cases.extend(cases::list(folder, side, args.validation_share, args.limit)?);
    }
    let (model, source) = args.model.open()?;
    let config = EngineConfig::default();
    let max_rows = config.max_rows.max(grid.jobs);
    let engine = Engine::spawn(Box::new(model), EngineConfig { max_rows, ..config })?;

    let identity = ModelIdentity::new(engine.name(), &source, args.model.adapter.as_deref())?;
    let machine = Machine::this(engine.device(), engine.precision());
    let Others { engines, identities } = args.transfer.open(&args.model)?;
    grid.transfer_to = engines;
    if let Some(criteria) = &criteria {
        let mut sets: Vec<&str> = cases.iter().map(|case| case.set.as_str()).collect();
        sets.dedup();
        criteria.check_against(&grid, &sets).context("--acceptance")?;
    }

    folder(&args.out)?;
    let kept = args.out.join(JOURNAL);
    let setting = json!({
        "code": Code::this(),
        "model": identity,
        "transfer_to": identities,
        "device": machine.device,
        "dtype": machine.dtype,
    });
    let journal = Journal::open(&kept, &setting).with_context(|| format!("cannot use {}", kept.display()))?;
    let tasks = cases.len() * (grid.attacks.len() + 1);
    let bar = progress_bar(tasks as u64, "{elapsed} {wide_bar} {pos} of {len}, {eta} left");
    let rows = run_grid(&engine, &cases, &grid, Some(&journal), &|| bar.inc(1));
    bar.finish_and_clear();
    let reused = journal.close().with_context(|| format!("cannot write to {}", kept.display()))?;

    let summary = Summary::new(&rows);
    let unit = args.attack.unit();
    let acceptance = criteria.map(|criteria| criteria.judge(&rows, &summary));
    let judged = acceptance.as_ref().map_or_else(String::new, |judged| acceptance::markdown(judged, unit));
    let table = judged + &summary::markdown(&summary, unit);
    let mut attacks: Vec<_> = grid.attacks.iter().map(|planned| &planned.attack).collect();
    // The same method stands there once for every epsilon.
    attacks.dedup();
    let document = Document {
        code: Code::this(),
        model: identity,
        transfer_to: identities,
        machine,
        defence: grid.defence.as_ref(),
        protocol: grid.protocol,
        goal: &grid.goal,
        success: grid.criterion,
        unit,
        seed: grid.seed,
        attacks,
        acceptance: acceptance.as_ref(),
        summary: &summary,
    };
    let json = format!("{}\n", serde_json::to_string_pretty(&document)?);
    write(&args.out, &[("results.csv", &summary::csv(&rows)), ("summary.json", &json), ("summary.md", &table)])?;
    println!("{table}\nwrote results.csv, summary.json, summary.md to {}", args.out.display());
    if reused > 0 {
        println!("{reused} of {tasks} had been measured before: {} holds them", kept.display());
    }
    let Some(acceptance) = acceptance else { return Ok(()) };
    write(&args.out, &[("junit.xml", &acceptance::junit(&acceptance, unit)?)])?;
    NotAccepted::of(&acceptance).map_or(Ok(()), |refusal| Err(refusal.into()))
}

impl EvaluateArgs {
    fn grid(&self) -> Result<Grid> {
        let mut methods: Vec<&str> = self.method.iter().map(String::as_str).collect();
        if methods.contains(&CLEAN) {
            if methods.len() > 1 {
                bail!("--method none stands alone: leave it out to attack");
            }
            methods.clear();
        }
        methods.dedup();
        if !self.perturbation.is_empty() && !methods.contains(&UNIVERSAL) {
            bail!("--perturbation: only --method {UNIVERSAL} applies one: leave it out");
        }
        self.attack.refuse_foreign(&methods)?;
        if self.goal == GoalSpec::Target {
            bail!("--goal target needs a mask for each image, which a data set has no place for: use another goal");
        }
        // Whether a prompt may be swapped for another is a question of each image.
        self.goal.check("").context("--goal")?;
        if let Some(criterion) = self.success {
            criterion.check(self.goal.is_targeted()).context("--success")?;
        }
        let mut attacks = vec![];
        for method in methods {
            for attack in self.attack.specs(method)? {
                attack.check_defence(self.attack.defence.is_some()).with_context(|| format!("--method {method}"))?;
                attacks.extend(self.planned(attack)?);
            }
        }
        Ok(Grid {
            attacks,
            goal: self.goal.clone(),
            criterion: self.success,
            defence: self.attack.defence.clone(),
            protocol: self.attack.protocol,
            loss: self.attack.loss(),
            seed: self.attack.seed,
            transfer_to: vec![],
            jobs: self.jobs,
        })
    }

    /// The attack at every epsilon, or once if it has no budget.
    fn planned(&self, attack: AttackSpec) -> Result<Vec<Planned>> {
        if !attack.attack().is_bounded() {
            return Ok(vec![Planned { attack, budget: None, epsilon: None, perturbation: None }]);
        }
        let perturbations = match attack.method() {
            UNIVERSAL if self.perturbation.is_empty() => bail!("--method {UNIVERSAL} needs --perturbation FILE"),
            UNIVERSAL => self.perturbation.iter().map(|path| Ok(Some(named(path)?))).collect::<Result<_>>()?,
            _ => vec![None],
        };
        let mut planned = vec![];
        for perturbation in perturbations {
            for epsilon in &self.epsilon {
                let bounded = Planned::bounded(attack.clone(), self.attack.budget(*epsilon)?, *epsilon);
                planned.push(Planned { perturbation: perturbation.clone(), ..bounded });
            }
        }
        Ok(planned)
    }
}

/// A perturbation under the name of its file.
fn named(path: &Path) -> Result<Named> {
    let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    Ok(Named { name, perturbation: Arc::new(perturbation(path)?) })
}

fn folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).with_context(|| format!("cannot create the folder {}", path.display()))
}

fn write(folder: &Path, files: &[(&str, &String)]) -> Result<()> {
    for (name, text) in files {
        encode::write(&folder.join(name), text.as_bytes())?;
    }
    Ok(())
}
