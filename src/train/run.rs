//! The training loop.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use candle_core::Tensor;
use serde::Serialize;

use super::batch::{Batch, Sampler};
use super::data::{self, DataSet};
use super::learner::{Learner, Start};
use super::optimizer::{AdamW, Optimizer, learning_rate};
use super::state::{self, Clock};
use super::validate::{SetScore, validate};
use super::variables::Variables;
use super::{Phrasings, TrainError};
use crate::loss::Loss;
use crate::model::clipseg::Network;

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Length {
    /// A number of steps: the same seed gives the same model.
    Steps(usize),
    /// A wall-clock budget: the schedule follows the clock, so the result depends on the machine.
    Time(Duration),
}

/// A part of a run at another size than the network's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Side of the input in pixels.
    pub size: usize,
    /// Share of the run after which the stage is over.
    pub until: f64,
}

/// Everything that decides a run.
#[derive(Debug, Clone)]
pub struct TrainConfig {
    /// Folders with `images/`, `masks/`, `prompts.json`.
    pub data: Vec<PathBuf>,
    /// Share of the subjects kept for validation.
    pub validation_share: f64,
    /// JSON file of phrasings; without one every structure is asked for by its name.
    pub phrasings: Option<PathBuf>,
    pub start: Start,
    /// Folder that the model is written to.
    pub out: PathBuf,
    pub length: Length,
    pub batch: usize,
    /// Peak learning rate.
    pub rate: f64,
    /// Steps of linear warm-up.
    pub warm_up: usize,
    /// Smaller sizes first; the network's own size afterwards.
    pub stages: Vec<Stage>,
    /// A set of n images is drawn with weight n^balance.
    pub balance: f64,
    /// Share of rows asked for another structure, with an empty mask.
    pub wrong_prompts: f64,
    /// Steps between two validations.
    pub validate_every: usize,
    pub seed: u64,
    /// Go on from the state in `out`.
    pub resume: bool,
}

/// What a run reports: one line of `log.jsonl`.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    pub step: usize,
    pub minutes: f64,
    /// Share of the run that is over.
    pub progress: f64,
    /// Mean loss since the last report.
    pub loss: f64,
    pub rate: f64,
    /// Side of the network's input at this step, in pixels.
    pub size: usize,
    pub images_per_second: f64,
    /// Scores of the averaged weights; only where a validation was due.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scores: Vec<SetScore>,
}

/// Validation samples of each set while training, and at the end.
const QUICK: usize = 8;
const WHOLE: usize = usize::MAX;
/// Steps between two reports.
const REPORT_EVERY: usize = 20;

/// Runs the training; `report` sees every line of the log, and stops the run with `Break`.
///
/// The model in `out` is written at every validation, from the average of the weights, and with
/// it the state that a later run resumes from. Answers the last scores.
///
/// # Errors
/// Damaged data, a structure without phrasings, a loss or gradient that is not finite.
pub fn train(
    config: &TrainConfig,
    report: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Vec<SetScore>, TrainError> {
    let write = |path: PathBuf| move |source| TrainError::Write { path, source };
    std::fs::create_dir_all(&config.out).map_err(write(config.out.clone()))?;
    let sets =
        config.data.iter().map(|folder| data::read(folder, config.validation_share)).collect::<Result<Vec<_>, _>>()?;
    if sets.iter().all(|set| set.training.is_empty()) {
        let reason = "no image is left to train on: lower the validation share".into();
        return Err(TrainError::Data { path: config.data.first().cloned().unwrap_or_default(), reason });
    }
    let phrasings = phrasings(config, &sets)?;
    let (learner, mut variables) = Learner::open(&config.start, &config.out, &phrasings, config.seed)?;
    let patch = learner.config.vision_config.patch_size;
    if let Some(stage) = config.stages.iter().find(|s| s.size == 0 || s.size % patch != 0) {
        let reason = format!("patches of {patch} do not divide a stage of {} px", stage.size);
        return Err(TrainError::Data { path: config.out.clone(), reason });
    }
    let (mut optimizer, mut clock) = if config.resume {
        state::load(&config.out, &mut variables)?
    } else {
        (Optimizer::default(), Clock::default())
    };
    let path = config.out.join("log.jsonl");
    let mut log = std::fs::OpenOptions::new()
        .create(true)
        .append(config.resume)
        .write(true)
        .truncate(!config.resume)
        .open(&path)
        .map_err(write(path.clone()))?;
    let sampler = Sampler {
        sets: &sets,
        phrasings: &phrasings,
        seed: config.seed,
        balance: config.balance,
        wrong_prompts: config.wrong_prompts,
    };
    let settings = AdamW::default();
    let (begin, before) = (Instant::now(), clock.seconds);
    let (mut losses, mut since) = (Vec::new(), Instant::now());
    loop {
        let progress = match config.length {
            Length::Steps(steps) => clock.step as f64 / steps.max(1) as f64,
            Length::Time(budget) => clock.seconds / budget.as_secs_f64(),
        };
        let over = progress >= 1.;
        let full = learner.preprocess.height;
        let size = config.stages.iter().find(|stage| progress < stage.until).map_or(full, |stage| stage.size);
        let rate = learning_rate(config.rate, clock.step, config.warm_up, progress);
        if !over {
            let batch = sampler.draw(clock.step, config.batch, size)?;
            let loss = loss(&learner, &mut variables, &batch)?;
            let value = f64::from(loss.to_scalar::<f32>()?);
            optimizer.step(&settings, rate, &variables, &loss.backward()?)?;
            losses.push(value);
            clock = Clock { step: clock.step + 1, seconds: before + begin.elapsed().as_secs_f64() };
        }
        let validated = over || clock.step.is_multiple_of(config.validate_every);
        if !validated && !clock.step.is_multiple_of(REPORT_EVERY) {
            continue;
        }
        let mut line = Progress {
            step: clock.step,
            minutes: clock.seconds / 60.,
            progress,
            loss: losses.iter().sum::<f64>() / losses.len().max(1) as f64,
            rate,
            size,
            images_per_second: (losses.len() * config.batch) as f64 / since.elapsed().as_secs_f64().max(1e-9),
            scores: Vec::new(),
        };
        if validated {
            let averaged = optimizer.averaged(&variables)?;
            learner.save(&averaged, &config.out)?;
            state::save(&config.out, &variables, &optimizer, clock)?;
            let at_most = if over { WHOLE } else { QUICK };
            line.scores = validate(&learner, &averaged, &sets, &phrasings, at_most)?;
        }
        let text = serde_json::to_string(&line).expect("a log line is always printable");
        writeln!(log, "{text}").map_err(write(path.clone()))?;
        (losses, since) = (Vec::new(), Instant::now());
        if report(&line).is_break() && !over {
            state::save(&config.out, &variables, &optimizer, clock)?;
            return Ok(line.scores);
        }
        if over {
            return Ok(line.scores);
        }
    }
}

/// The phrasings of the run, after a check that every structure of the data has some.
fn phrasings(config: &TrainConfig, sets: &[DataSet]) -> Result<Phrasings, TrainError> {
    let samples = || sets.iter().flat_map(|s| s.training.iter().chain(&s.validation));
    let Some(path) = &config.phrasings else {
        return Ok(Phrasings::names_only(samples().map(|s| s.structure.as_str())));
    };
    let found = Phrasings::open(path)?;
    match samples().find(|s| found.position(&s.structure).is_none()) {
        Some(sample) => {
            let reason = format!("no phrasings for {:?}, the structure of {}", sample.structure, sample.name);
            Err(TrainError::Data { path: path.clone(), reason })
        }
        None => Ok(found),
    }
}

/// The mean loss of a batch.
fn loss(learner: &Learner, variables: &mut Variables, batch: &Batch) -> Result<Tensor, TrainError> {
    let network = learner.network(variables)?;
    let conditional = conditional(learner, &network, &batch.prompts)?;
    let logits = network.forward(&learner.preprocess.normalise(&batch.pixels)?, &conditional)?.logits;
    Ok(Loss::DiceCe.value(&logits, &batch.masks)?.mean_all()?)
}

/// `[batch, projection_dim]`; every distinct text is encoded once.
fn conditional(learner: &Learner, network: &Network, prompts: &[String]) -> Result<Tensor, TrainError> {
    let mut distinct: Vec<&String> = prompts.iter().collect();
    distinct.sort();
    distinct.dedup();
    let most = learner.config.text_config.max_position_embeddings;
    let encode = |text: &&String| Ok::<_, TrainError>(network.encode(&learner.tokenizer.encode(text, most)?)?);
    let encoded = Tensor::stack(&distinct.iter().map(encode).collect::<Result<Vec<_>, _>>()?, 0)?;
    let rows: Vec<u32> = prompts.iter().map(|p| distinct.binary_search(&p).expect("was put there") as u32).collect();
    Ok(encoded.index_select(&Tensor::new(rows, encoded.device())?, 0)?)
}
