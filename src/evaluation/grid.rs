//! Many images times many attacks, all at once on one engine.
//!
//! Workers pull tasks from one list, image by image, and the engine batches what they ask. Random numbers
//! belong to the image and not to the worker, and rows come back in the order of the list: the number of
//! workers decides how long it takes and nothing else. An image that fails has the reason in its rows.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::aggregate::CLEAN;
use super::journal::Journal;
use super::row::{Attacked, GridRow, RowScores};
use super::{AttackRequest, Control, RunError, Threat, Transfer, defended, run_attack, segment};
use crate::attack::protocol::Resolution;
use crate::attack::{AttackSpec, Budget, Criterion, Goal, GoalSpec, Protocol, StepRecord, UniversalPerturbation};
use crate::engine::{CancelToken, Engine};
use crate::imaging::{Container, Decoded, Limits, Mask, decode};
use crate::loss::Loss;
use crate::metric::{Confusion, MaskScores, OverlapScores};
use crate::model::resize_image;
use crate::oracle::defended::Defence;

/// One image of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Name of the data set.
    pub set: String,
    /// File name of the image.
    pub name: String,
    /// The image file.
    pub image: PathBuf,
    /// The reference mask's file.
    pub mask: PathBuf,
    /// The text that names the structure.
    pub prompt: String,
}

/// What to do with each image, besides segmenting it clean.
#[derive(Debug, Clone, Default)]
pub struct Grid {
    /// The attacks.
    pub attacks: Vec<Planned>,
    /// The wrong answer that counts; one that needs a mask of its own cannot be had for many images.
    pub goal: GoalSpec,
    /// When an attack has succeeded; the goal's default if `None`.
    pub criterion: Option<Criterion>,
    /// What stands between the image and the model.
    pub defence: Option<Defence>,
    /// The named set of choices.
    pub protocol: Protocol,
    /// The loss, if not the protocol's.
    pub loss: Option<Loss>,
    /// Seed of all random numbers.
    pub seed: u64,
    /// Other models that every finished attack is shown to, by their names.
    pub transfer_to: Vec<(String, Engine)>,
    /// Attacks that run at once; zero counts as one.
    pub jobs: usize,
}

/// One column of a grid.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The method.
    pub attack: AttackSpec,
    /// The budget, for a method that has one.
    pub budget: Option<Budget>,
    /// Its epsilon as it was given.
    pub epsilon: Option<f64>,
    /// What the method `universal` applies.
    pub perturbation: Option<Named>,
}

/// A universal perturbation and what a table calls it.
#[derive(Debug, Clone)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// The perturbation.
    pub perturbation: Arc<UniversalPerturbation>,
}

impl Grid {
    /// The attacked model, which has no name here, and every other.
    fn models(&self) -> impl Iterator<Item = Option<&str>> {
        std::iter::once(None).chain(self.transfer_to.iter().map(|(name, _)| Some(name.as_str())))
    }

    /// What tells the rows of an attack apart from others of its method and epsilon: those on the attacked model, then
    /// those on every other.
    pub fn variants<'a>(&'a self, planned: &'a Planned) -> impl Iterator<Item = Option<String>> + 'a {
        self.models().map(|on| planned.variant(on))
    }
}

/// Runs every attack on every case; `done` is called after each, from any thread. What the journal knows is not run
/// again, and what is run is written there at once.
///
/// The rows of a case stand together, the clean one first, in the order of cases and attacks; those of other models
/// follow that of the attack.
pub fn run_grid(
    engine: &Engine,
    cases: &[Case],
    grid: &Grid,
    journal: Option<&Journal>,
    done: &(dyn Fn() + Sync),
) -> Vec<GridRow> {
    let columns = grid.attacks.len() + 1;
    let next = AtomicUsize::new(0);
    let work = || {
        let mut rows = vec![];
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            let Some(case) = cases.get(task / columns) else { return rows };
            let planned = (task % columns).checked_sub(1).map(|column| &grid.attacks[column]);
            rows.push((task, task_rows(engine, case, grid, planned, journal)));
            done();
        }
    };
    let mut rows: Vec<(usize, Vec<GridRow>)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..grid.jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker returns its errors as rows")).collect()
    });
    rows.sort_unstable_by_key(|(task, _)| *task);
    rows.into_iter().flat_map(|(_, rows)| rows).collect()
}

/// The row of the attacked model, and one for every other model.
fn task_rows(
    engine: &Engine,
    case: &Case,
    grid: &Grid,
    planned: Option<&Planned>,
    journal: Option<&Journal>,
) -> Vec<GridRow> {
    let models: Vec<Option<&str>> = grid.models().take(if planned.is_some() { usize::MAX } else { 1 }).collect();
    let entry = journal.and_then(|journal| Some((journal, journal.key(case, grid, planned)?)));
    let known = entry.as_ref().and_then(|(journal, key)| journal.known(key)).filter(|s| s.len() == models.len());
    let scores = match known.map_or_else(|| measure(engine, case, grid, planned, entry), Ok) {
        Ok(scores) => scores.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error.to_string()); models.len()],
    };
    models.into_iter().zip(scores).map(|(model, scores)| row(case, planned, model, scores)).collect()
}

/// Runs an attack, or segments the clean image, and writes the scores into the journal under their key.
fn measure(
    engine: &Engine,
    case: &Case,
    grid: &Grid,
    planned: Option<&Planned>,
    entry: Option<(&Journal, String)>,
) -> Result<Vec<RowScores>, RunError> {
    let scores = match planned {
        Some(planned) => attacked(engine, case, grid, planned)?,
        None => vec![clean(engine, case, grid)?],
    };
    if let Some((journal, key)) = entry {
        journal.keep(key, &scores);
    }
    Ok(scores)
}

fn row(case: &Case, planned: Option<&Planned>, on: Option<&str>, scores: Result<RowScores, String>) -> GridRow {
    GridRow {
        set: case.set.clone(),
        image: case.name.clone(),
        method: planned.map_or(CLEAN, |planned| planned.attack.method()),
        variant: planned.and_then(|planned| planned.variant(on)),
        epsilon: planned.and_then(|planned| planned.epsilon),
        scores,
    }
}

fn clean(engine: &Engine, case: &Case, grid: &Grid) -> Result<RowScores, RunError> {
    let (Decoded { mut image, .. }, mut mask) = case.read()?;
    mask.check_fits(&image)?;
    if grid.protocol.choices().score_at == Resolution::Network {
        let (width, height) = (engine.input().width, engine.input().height);
        (image, mask) = (resize_image(&image, (height, width))?, mask.resize(width, height));
    }
    let seen = match &grid.defence {
        None => segment(engine, &image, &case.prompt)?,
        Some(defence) => defended::segment(engine, (&image, &case.prompt), (defence, grid.seed))?,
    };
    let scores = Confusion::between(&seen, &mask)?;
    Ok(RowScores { clean_dsc: scores.dsc(), clean_iou: scores.iou(), attacked: None })
}

/// The scores on the attacked model, then on every other.
fn attacked(engine: &Engine, case: &Case, grid: &Grid, planned: &Planned) -> Result<Vec<RowScores>, RunError> {
    grid.goal.check(&case.prompt)?;
    let goal = Goal::new(grid.goal.clone(), None)?;
    let (image, mask) = case.read()?;
    let perturbation = planned.perturbation.as_ref().map(|named| named.perturbation.clone());
    let request = AttackRequest {
        image,
        reference: Some(mask),
        prompt: case.prompt.clone(),
        attack: planned.attack.clone(),
        threat: Threat { budget: planned.budget, goal, region: None, criterion: grid.criterion, perturbation },
        defence: grid.defence.clone(),
        protocol: grid.protocol,
        loss: grid.loss,
        seed: grid.seed,
    };
    let control = Control { cancel: CancelToken::default(), watcher: &mut |_: &StepRecord| {} };
    let mut run = run_attack(engine, &request, control)?;
    run.transfer_to(&grid.transfer_to)?;
    let result = run.result;
    let shared = Attacked {
        dsc: result.adversarial_file.scores.overlap.dsc,
        iou: result.adversarial_file.scores.overlap.iou,
        linf_levels: result.perturbation.linf_levels,
        dsc_to_target: result.adversarial_file.dsc_to_target,
        oblivious_dsc: result.defence.as_ref().map(|defence| defence.oblivious_dsc),
        success: result.success.met,
        queries: result.queries.loss + result.queries.gradient + result.queries.logits,
    };
    let row = |before: &MaskScores, attacked| RowScores {
        clean_dsc: before.overlap.dsc,
        clean_iou: before.overlap.iou,
        attacked: Some(attacked),
    };
    let others = result.transfer.iter().map(|Transfer { clean, adversarial_file, success, .. }| {
        let OverlapScores { dsc, iou, .. } = adversarial_file.overlap;
        let unknown = Attacked { dsc_to_target: None, oblivious_dsc: None, ..shared };
        row(clean, Attacked { dsc, iou, success: success.met, ..unknown })
    });
    Ok(std::iter::once(row(&result.clean.scores, shared)).chain(others).collect())
}

impl Planned {
    /// A method at a budget.
    pub fn bounded(attack: AttackSpec, budget: Budget, epsilon: f64) -> Self {
        Self { attack, budget: Some(budget), epsilon: Some(epsilon), perturbation: None }
    }

    /// What tells it apart from others of its method and epsilon, on the attacked model or on another.
    fn variant(&self, on: Option<&str>) -> Option<String> {
        let variant = self.attack.variant().or_else(|| Some(self.perturbation.as_ref()?.name.clone()));
        match (variant, on) {
            (Some(variant), Some(model)) => Some(format!("{variant} on {model}")),
            (None, Some(model)) => Some(format!("on {model}")),
            (variant, None) => variant,
        }
    }
}

impl Case {
    /// The picture and its reference mask.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn read(&self) -> Result<(Decoded, Mask), RunError> {
        let limits = Limits::default();
        let image = decode::open(&self.image, &limits)?;
        let container = named_container(&self.image).unwrap_or(image.container);
        Ok((Decoded { container, ..image }, decode::open_mask(&self.mask, &limits)?))
    }
}

/// The container that a file's name promises. A protocol that saves "as the original" goes by the name.
pub fn named_container(path: &Path) -> Option<Container> {
    match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => Some(Container::Jpeg),
        "png" => Some(Container::Png),
        _ => None,
    }
}
