//! `segprobe bench`: how fast is a model on this machine?

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::{DType, Tensor};
use clap::Args;

use super::model_args::ModelArgs;
use crate::bench::report::Report;
use crate::bench::sample::Sample;
use crate::bench::step::{self, Figures, Plan};
use crate::bench::{attacks, peak, set_threads};
use crate::engine::{Engine, EngineConfig};
use crate::imaging::decode::{self, Limits};
use crate::imaging::{encode, npy};
use crate::model::SegmentationModel;
use crate::model::clipseg::ClipSeg;
use crate::report::manifest::{Code, Machine};
use crate::telemetry::process;

/// Workers of a queue unless --concurrency says otherwise.
const WORKERS: usize = 8;

/// Time a model: the step of an attack, or with --concurrency or --queue whole attacks through the engine.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Images in one call of the model, separated by commas.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1])]
    batch: Vec<usize>,
    /// Sides of the square input in pixels, separated by commas; the model's own unless given.
    #[arg(long, value_name = "PX", value_delimiter = ',')]
    resolution: Vec<usize>,
    /// Threads of the CPU kernels; all processors unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Timed runs of each kind, after one that is not timed.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Steps of PGD; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 10)]
    steps: usize,
    /// Picture to work on instead of a synthetic one.
    #[arg(long, value_name = "FILE", requires_all = ["mask", "prompt"])]
    image: Option<PathBuf>,
    /// Its reference mask.
    #[arg(long, value_name = "FILE", requires = "image")]
    mask: Option<PathBuf>,
    /// What to look for in it.
    #[arg(long, value_name = "TEXT", requires = "image")]
    prompt: Option<String>,
    /// Write the step's gradient to the network's input, [batch * 3 * side, side], as an f32 array for NumPy.
    #[arg(long, value_name = "FILE.npy")]
    save_gradient: Option<PathBuf>,
    /// Compare so many PGD attacks at once with one at a time, on the samples, through the engine.
    #[arg(long, value_name = "K", value_delimiter = ',', conflicts_with_all = STEP_FLAGS)]
    concurrency: Vec<usize>,
    /// Work off so many queued FGSM attacks on the samples, through the engine.
    #[arg(long, value_name = "N", value_delimiter = ',', conflicts_with_all = STEP_FLAGS)]
    queue: Vec<usize>,
    /// Write all figures to a file too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What says nothing about whole attacks.
const STEP_FLAGS: [&str; 4] = ["batch", "resolution", "image", "save_gradient"];

/// Runs the command.
///
/// # Errors
/// Flags or a model that cannot be used, a size the model cannot take, a file that cannot be written.
pub fn run(args: &BenchArgs) -> Result<()> {
    args.check()?;
    if let Some(count) = args.threads {
        set_threads(count.into())?;
    }
    let sample = args.sample()?;
    let (model, source) = args.model.open()?;
    let mut report = Report {
        code: Code::this(),
        machine: Machine { threads: rayon::current_num_threads(), ..Machine::this(model.device(), model.precision()) },
        model: model.name().into(),
        source: source.to_string(),
        loading_peak_rss_mib: process::peak_resident_bytes().map(|bytes| bytes as f64 / 1_048_576.),
        matmul_peak_gflops: None,
        steps: vec![],
        throughput: vec![],
        queues: vec![],
    };
    if args.concurrency.is_empty() && args.queue.is_empty() {
        args.time_steps(&model, &sample, &mut report)?;
    } else {
        args.time_attacks(model, &mut report)?;
    }
    print!("{}", report.text());
    if let Some(path) = &args.json {
        encode::write(path, format!("{}\n", serde_json::to_string_pretty(&report)?).as_bytes())?;
    }
    Ok(())
}

impl BenchArgs {
    fn check(&self) -> Result<()> {
        let lists = [("--batch", &self.batch), ("--concurrency", &self.concurrency), ("--queue", &self.queue)];
        if let Some((flag, _)) = lists.iter().find(|(_, list)| list.contains(&0)) {
            bail!("{flag}: 0 is nothing to time");
        }
        if self.steps == 0 && !self.concurrency.is_empty() {
            bail!("--steps: an attack needs at least one step");
        }
        if self.save_gradient.is_some() && (self.batch.len() > 1 || self.resolution.len() > 1) {
            bail!("--save-gradient takes one gradient: give one --batch and one --resolution");
        }
        Ok(())
    }

    fn sample(&self) -> Result<Sample> {
        let (Some(image), Some(mask), Some(prompt)) = (&self.image, &self.mask, &self.prompt) else {
            return Sample::all().into_iter().next().context("there are no samples");
        };
        let image = decode::open(image, &Limits::default())?.image;
        let mask = decode::open_mask(mask, &Limits::default())?;
        mask.check_fits(&image)?;
        Ok(Sample { image, mask, prompt: prompt.clone() })
    }

    fn time_steps(&self, model: &ClipSeg, sample: &Sample, report: &mut Report) -> Result<()> {
        let own = [model.preprocess().height];
        let sides = if self.resolution.is_empty() { &own[..] } else { &self.resolution };
        // All sizes are checked before any of them is timed.
        let work = sides.iter().map(|side| model.work(*side)).collect::<Result<Vec<_>, _>>().context("--resolution")?;
        for (&side, work) in sides.iter().zip(work) {
            for &batch in &self.batch {
                let plan = Plan { batch, side, runs: self.runs.into(), pgd_steps: self.steps };
                let (figures, gradient) = step::measure(model, work, sample, plan)?;
                if let Some(path) = &self.save_gradient {
                    save(path, &figures, &gradient)?;
                }
                report.steps.push(figures);
            }
        }
        report.matmul_peak_gflops = Some(peak::measure(model.device(), DType::F32, self.runs.into())?);
        Ok(())
    }

    fn time_attacks(&self, model: ClipSeg, report: &mut Report) -> Result<()> {
        let workers = self.concurrency.iter().copied().max().unwrap_or(WORKERS);
        let config = EngineConfig::default();
        let max_rows = config.max_rows.max(workers);
        let engine = Engine::spawn(Box::new(model), EngineConfig { max_rows, ..config })?;
        for concurrency in &self.concurrency {
            let found = attacks::throughput(&engine, *concurrency, self.steps, self.runs.into())?;
            report.throughput.push(found);
        }
        for jobs in &self.queue {
            report.queues.push(attacks::queue(&engine, *jobs, workers)?);
        }
        Ok(())
    }
}

fn save(path: &Path, figures: &Figures, gradient: &Tensor) -> Result<()> {
    let side = figures.resolution_px;
    let values = gradient.flatten_all()?.to_vec1::<f32>()?;
    Ok(encode::write(path, &npy::encode(&values, (side, figures.batch * 3 * side))?)?)
}
