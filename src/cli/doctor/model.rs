//! Whether a model loads, finds something, and gives a gradient.

use anyhow::{Context, Result};
use candle_core::Tensor;

use super::report::Finding::{self, Fail, Fine, Warn};
use super::report::Report;
use crate::cli::model_args::ModelArgs;
use crate::engine::{CancelToken, Engine, EngineConfig, Goal, Objective, RowSpec, Space};
use crate::imaging::Mask;
use crate::loss::Loss;
use crate::metric::Confusion;
use crate::model::{Source, upsample};
use crate::oracle::Oracle;
use crate::phantom::{Kind, draw};

/// Opens the device and the model, and lets the model work.
pub(super) fn examine(args: &ModelArgs, report: &mut Report) -> Result<()> {
    let device = args.device;
    match device.open() {
        Err(error) => report.say("device", Fail(error.to_string()))?,
        Ok(_) => report.say("device", Fine(device.to_string()))?,
    }
    let (engine, source) = match engine(args) {
        Err(error) => return report.say("model", Fail(format!("{error:#}"))),
        Ok(opened) => opened,
    };
    report.say("model", known(&engine, &source))?;
    match probe(&engine) {
        Err(error) => report.say("attack", Fail(format!("{error:#}"))),
        Ok(findings) => report.say_all(findings),
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
            counted: None,
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
