//! `segprobe doctor`: does it work on this machine, with this model?

use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candle_core::Tensor;
use clap::Args;

use super::model_args::ModelArgs;
use crate::engine::{CancelToken, Engine, EngineConfig, Goal, Objective, RowSpec, Space};
use crate::imaging::{Mask, encode};
use crate::loss::Loss;
use crate::metric::Confusion;
use crate::model::{Source, upsample};
use crate::oracle::Oracle;
use crate::phantom::{Kind, draw};

/// Check that this machine and a model are fit for work.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder that results will be written to.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// How one check went: what was found, or what to change.
enum Finding {
    Ok(String),
    Warn(String),
    Fail(String),
}

use Finding::{Fail, Ok as Fine, Warn};

/// Runs the command: one line a check.
///
/// # Errors
/// If a check failed.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let mut failed = 0;
    let mut say = |check: &str, finding: Finding| -> Result<()> {
        let (mark, text) = match finding {
            Fine(text) => ("ok  ", text),
            Warn(text) => ("warn", text),
            Fail(text) => {
                failed += 1;
                ("FAIL", text)
            }
        };
        Ok(writeln!(stdout(), "{mark}  {check:<10} {text}")?)
    };
    say("version", Fine(version()))?;
    say("threads", threads())?;
    say("out", writable(&args.out))?;
    let device = args.model.device;
    match device.open() {
        Err(error) => say("device", Fail(error.to_string()))?,
        Ok(_) => say("device", Fine(device.to_string()))?,
    }
    match engine(&args.model) {
        Err(error) => say("model", Fail(format!("{error:#}")))?,
        Ok((engine, source)) => {
            say("model", known(&engine, &source))?;
            match probe(&engine) {
                Err(error) => say("attack", Fail(format!("{error:#}")))?,
                Ok(findings) => findings.into_iter().try_for_each(|(check, finding)| say(check, finding))?,
            }
        }
    }
    match failed {
        0 => Ok(()),
        1 => bail!("1 check failed"),
        n => bail!("{n} checks failed"),
    }
}

fn version() -> String {
    let build = if cfg!(feature = "cuda") { "CUDA" } else { "CPU" };
    format!("segprobe {}, {build} build", env!("CARGO_PKG_VERSION"))
}

fn threads() -> Finding {
    match std::thread::available_parallelism() {
        Ok(n) => Fine(n.to_string()),
        Err(error) => Warn(format!("the number of processors is unknown ({error}): set RAYON_NUM_THREADS")),
    }
}

/// Writes a file to the folder, or to the one that it will be created in, and removes it.
fn writable(folder: &Path) -> Finding {
    let place = folder.ancestors().find(|p| p.as_os_str().is_empty() || p.exists()).unwrap_or(folder);
    let file = place.join(format!(".segprobe-doctor-{}", std::process::id()));
    match encode::write(&file, b"doctor").map_err(anyhow::Error::from).and_then(|()| Ok(std::fs::remove_file(&file)?)) {
        Ok(()) => Fine(format!("{} can be written", folder.display())),
        Err(error) => Fail(format!("{error:#}: name another folder with --out, or free some space")),
    }
}

fn engine(args: &ModelArgs) -> Result<(Engine, Source)> {
    let (model, source) = args.open()?;
    Ok((Engine::spawn(Box::new(model), EngineConfig::default())?, source))
}

fn known(engine: &Engine, source: &Source) -> Finding {
    match source.weights_sha256() {
        Ok(hash) => Fine(format!("{} ({source}), sha256 {}", engine.name(), &hash[..16])),
        Err(error) => Warn(error.to_string()),
    }
}

/// Segments a phantom and asks for a gradient, as an attack does.
fn probe(engine: &Engine) -> Result<Vec<(&'static str, Finding)>> {
    let kind = Kind::Dermoscopy;
    let (image, mask) = draw(kind, 1, 224, 160);
    let input = engine.input();
    let mut row = engine.open(RowSpec {
        conditioning: engine.prepare(kind.prompt())?,
        objective: Objective {
            loss: Loss::Bce,
            target: mask.resize(input.width, input.height).to_tensor(engine.device())?,
            goal: Goal::Untargeted,
        },
        space: Space::Pixels,
        cancel: CancelToken::default(),
    })?;
    let answer = row.loss_and_gradient(&image.to_tensor(engine.device())?).context("forward and gradient")?;
    let (logits, gradient) = (numbers(&answer.logits)?, numbers(&answer.gradient)?);
    let largest = gradient.iter().fold(0f32, |most, g| most.max(g.abs()));
    let forward = if !logits.iter().all(|z| z.is_finite()) {
        Fail("the logits are not finite: the weights do not fit this program".into())
    } else {
        let prediction = Mask::from_logits(&upsample(&answer.logits, (image.height(), image.width()))?)?;
        let dsc = Confusion::between(&prediction, &mask)?.dsc();
        let found = format!("finite; DSC {dsc:.2} on a synthetic {}", kind.prompt());
        // A model of real pictures need not know a drawing.
        if dsc < 0.1 {
            Warn(format!("{found}: see whether it finds what you need with `segment`"))
        } else {
            Fine(found)
        }
    };
    let backward = if !gradient.iter().all(|g| g.is_finite()) {
        Fail("the gradient is not finite: white-box attacks would be meaningless".into())
    } else if largest == 0. {
        Fail("the gradient is zero everywhere: white-box attacks would be meaningless".into())
    } else {
        Fine(format!("finite, up to {largest:.1e} per pixel"))
    };
    Ok(vec![("forward", forward), ("gradient", backward)])
}

fn numbers(tensor: &Tensor) -> candle_core::Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
