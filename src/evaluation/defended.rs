//! An attack on a model behind a defence, with the attack that does not know of it beside.

use candle_core::{DType, Device, Tensor};

use super::RunError;
use crate::attack::harness::saved::Saved;
use crate::attack::protocol::Space;
use crate::attack::{AttackError, AttackSpec, Evaluation, Outcome, Problem, StepRecord, Success, Watcher, run};
use crate::engine::{self, CancelToken, Engine, Goal, Objective, RowSpec};
use crate::imaging::{Image, Mask};
use crate::loss::Loss;
use crate::model::{Resize, upsampled_mask};
use crate::oracle::Oracle;
use crate::oracle::defended::{Defence, Defended};

/// Draws of a random defence that the adversarial file is judged by once more.
const REPEATS: u64 = 5;

/// What the attack without knowledge of the defence came to, and how far chance goes.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    /// The file of the attack on the undefended model.
    pub(super) oblivious_file: Saved,
    /// The undefended model on the clean image.
    pub(super) undefended_clean: Evaluation,
    /// The defended model on that file.
    pub(super) oblivious: Evaluation,
    /// Whether that file meets the criterion.
    pub(super) oblivious_success: Success,
    /// DSC of the adaptive attack's file under fresh draws; empty if the defence draws nothing.
    pub(super) repeated_dsc: Vec<f64>,
}

/// The mask that a defended model sees in an image, at the image's own size.
///
/// # Errors
/// As [`super::segment`].
pub(super) fn segment(
    engine: &Engine,
    (image, prompt): (&Image, &str),
    (defence, seed): (&Defence, u64),
) -> Result<Mask, RunError> {
    let (height, width) = (engine.input().height, engine.input().width);
    let target = Tensor::zeros((height, width), DType::F32, engine.device())?;
    let mut row = engine.open(RowSpec {
        conditioning: engine.prepare(prompt)?,
        objective: Objective { loss: Loss::Bce, target, goal: Goal::Untargeted, counted: None },
        space: engine::Space::Pixels,
        cancel: CancelToken::default(),
    })?;
    let x = image.to_tensor(engine.device())?;
    let logits = Defended::new(&mut row, defence.transformation(), seed, None).reading(prompt).logits(&x)?;
    let upsampling = Resize::new(logits.dims2()?, (image.height(), image.width()), &Device::Cpu)?;
    Ok(upsampled_mask(&upsampling, &logits)?)
}

/// Attacks the defended model, which is the result, and then the undefended one.
///
/// The first attack can go on elsewhere; the second is begun anew, and comes to the same.
pub(super) fn attack(
    (spec, problem): (&AttackSpec, &Problem),
    oracle: &mut dyn Oracle,
    defence: &Defence,
    watcher: &mut dyn Watcher,
) -> Result<(Outcome, Beside), RunError> {
    let seed = problem.setup().seed;
    let adaptive = run(spec, problem, &mut behind(oracle, problem, (defence, seed))?, watcher)?;
    let oblivious = run(spec, problem, oracle, &mut |record: &StepRecord| watcher.visited(record))?;

    let mut judge = |saved: &Saved, seed| -> Result<Evaluation, RunError> {
        Ok(saved.evaluated_again(problem, &mut behind(oracle, problem, (defence, seed))?)?)
    };
    let defended = judge(&oblivious.file, seed)?;
    let repeats = if defence.transformation().samples() > 1 { REPEATS } else { 0 };
    let fresh = (1..=repeats).map(|n| Ok(judge(&adaptive.file, seed.wrapping_add(n))?.dsc));
    let repeated_dsc = fresh.collect::<Result<_, RunError>>()?;
    let beside = Beside {
        oblivious_success: problem.criterion().judge(&adaptive.clean, &defended),
        oblivious: defended,
        undefended_clean: oblivious.clean,
        oblivious_file: oblivious.file,
        repeated_dsc,
    };
    Ok((adaptive, beside))
}

/// The oracle behind the defence, in the space that the attack works in.
fn behind<'a>(
    oracle: &'a mut dyn Oracle,
    problem: &Problem,
    (defence, seed): (&'a Defence, u64),
) -> Result<Defended<'a>, AttackError> {
    let setup = problem.setup();
    let normalised = (setup.choices.space == Space::Normalised).then(|| setup.preprocess.clone());
    let defended = Defended::new(oracle, defence.transformation(), seed, normalised).reading(&setup.prompt);
    Ok(defended.against(problem.target(&problem.aim().mask)?))
}
