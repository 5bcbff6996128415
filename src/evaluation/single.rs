//! One attack on one image: from a decoded request to a result and its files.

use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};

use super::defended::{self, Beside};
use super::patched::PatchResult;
use super::request::Fitted;
use super::result::{Asked, AttackResult, PerturbationPicture, Reference, SCHEMA_VERSION, Scored, Size};
use super::{AttackRequest, DefenceResult, RunError};
use crate::attack::harness::saved::Saved;
use crate::attack::harness::tracker::At;
use crate::attack::{AttackError, Evaluation, Goal, Norm, Outcome, Problem, Setup, Swap, Watcher, protocol, run};
use crate::certify::Certificate;
use crate::engine::{self, CancelToken, Engine, EngineError, Objective, RowSpec};
use crate::imaging::overlay::{self, Overlay};
use crate::imaging::perturbation::{self, Perturbation};
use crate::imaging::{Image, ImagingError, Mask, encode};
use crate::metric::{Deltas, PerturbationScores};
use crate::model::{ModelError, Resize, upsample, upsampled_mask};
use crate::oracle::OracleError;
use crate::oracle::defended::Defence;

/// How the caller follows and stops an attack.
pub struct Control<'a> {
    /// Stops the attack at its next question.
    pub cancel: CancelToken,
    /// Is told about every step, and may keep the state.
    pub watcher: &'a mut dyn Watcher,
}

/// A finished attack.
#[derive(Debug, Clone)]
pub struct AttackRun {
    /// The numbers.
    pub result: AttackResult,
    /// Wall-clock time.
    pub duration: Duration,
    pub(super) measured: Measured,
}

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// File name.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Attacks an image and measures what comes of it.
///
/// # Errors
/// A request that makes no sense, masks of another size than the image, a cancellation, a failing model.
pub fn run_attack(engine: &Engine, request: &AttackRequest, control: Control) -> Result<AttackRun, RunError> {
    let began = Instant::now();
    let choices = request.choices()?;
    let Fitted { image, reference, region, goal } = request.fit(&choices, engine.input())?;
    let conditioning = engine.prepare(&request.prompt)?;
    let (reference, kind) = match reference {
        Some(mask) => (mask, Reference::Given),
        None => (segment(engine, &image, &request.prompt)?, Reference::CleanPrediction),
    };
    let patch = request.attack.attack().placement((image.width(), image.height()), region.as_ref())?;
    let setup = Setup {
        goal: answered(engine, &image, goal)?,
        region: patch.clone().or(region),
        ignored: patch,
        criterion: request.threat.criterion,
        perturbation: request.threat.perturbation.clone(),
        seed: request.seed,
        choices,
        original: request.image.container,
        prompt: request.prompt.clone(),
        ..Setup::new(image, reference, request.threat.budget, engine.input().clone())
    };
    let problem = Problem::new(setup, engine.device())?;
    let row = RowSpec {
        conditioning,
        objective: objective(&problem, engine)?,
        space: match problem.setup().choices.space {
            protocol::Space::Pixel => engine::Space::Pixels,
            protocol::Space::Normalised => engine::Space::PixelValues,
        },
        cancel: control.cancel,
    };
    let mut oracle = engine.open(row)?;
    let (outcome, beside) = match &request.defence {
        None => (run(&request.attack, &problem, &mut oracle, control.watcher)?, None),
        Some(defence) => {
            let what = (&request.attack, &problem);
            let (outcome, beside) = defended::attack(what, &mut oracle, defence, control.watcher)?;
            (outcome, Some((defence.clone(), beside)))
        }
    };
    drop(oracle);
    let measured = Measured::new(problem, (outcome, beside), kind)?;
    Ok(AttackRun { result: measured.result(request, engine.name())?, duration: began.elapsed(), measured })
}

/// The goal with the model's answer to the other prompt, if it is to be swapped for that.
fn answered(engine: &Engine, image: &Image, goal: Goal) -> Result<Goal, RunError> {
    let Goal::Swap(swap, None) = goal else { return Ok(goal) };
    let answer = segment(engine, image, &swap.prompt).map_err(|error| match error {
        RunError::Engine(EngineError::Model(ModelError::Prompt { .. })) => {
            let Swap { prompt: value } = swap.clone();
            let rule = "the model cannot use this prompt: name a structure that it knows";
            AttackError::Parameter { name: "goal/swap/prompt", value, rule }.into()
        }
        other => other,
    })?;
    Ok(Goal::Swap(swap, Some(answer)))
}

/// The logits of an image at the network's own output size.
pub(super) fn answer(engine: &Engine, image: &Image, prompt: &str) -> Result<Tensor, RunError> {
    Ok(engine.segment(&engine.prepare(prompt)?, &image.to_tensor(engine.device())?)?)
}

/// The mask that the model sees in an image, at the image's own size.
///
/// # Errors
/// A prompt that cannot be used, a failing model.
pub fn segment(engine: &Engine, image: &Image, prompt: &str) -> Result<Mask, RunError> {
    let logits = answer(engine, image, prompt)?;
    let upsampling = Resize::new(logits.dims2()?, (image.height(), image.width()), &Device::Cpu)?;
    Ok(upsampled_mask(&upsampling, &logits)?)
}

/// The logits `[height, width]` of an image at its own size, on the CPU: those of [`segment`].
///
/// # Errors
/// A prompt that cannot be used, a failing model, logits that are not finite.
pub fn logits(engine: &Engine, image: &Image, prompt: &str) -> Result<Tensor, RunError> {
    let logits = answer(engine, image, prompt)?;
    let logits = upsample(&logits.to_device(&Device::Cpu)?, (image.height(), image.width()))?;
    if logits.flatten_all()?.to_vec1::<f32>()?.iter().any(|z| !z.is_finite()) {
        let reason = "the model's logits are not finite: its weights or adapters do not work on this image";
        return Err(OracleError::Model(reason.into()).into());
    }
    Ok(logits)
}

/// What a problem asks of the model.
///
/// # Errors
/// A device that failed.
pub(crate) fn objective(problem: &Problem, engine: &Engine) -> Result<Objective, RunError> {
    let (aim, input) = (problem.aim(), engine.input());
    Ok(Objective {
        loss: problem.setup().choices.loss,
        target: aim.mask.resize(input.width, input.height).to_tensor(engine.device())?,
        goal: if aim.towards { engine::Goal::Targeted } else { engine::Goal::Untargeted },
        counted: problem.counted().cloned(),
    })
}

impl AttackRun {
    /// The files: the adversarial image in the very bytes that were scored, the amplified perturbation,
    /// the two predictions, the overlay and `result.json`; for a defended model also the image of the attack that did
    /// not know the defence, and of a certificate the smoothed mask and the pixels without one. Equal requests give equal bytes.
    ///
    /// # Errors
    /// [`ImagingError`] if a picture cannot be encoded.
    pub fn artifacts(&self) -> Result<Vec<Artifact>, ImagingError> {
        let Measured { problem, outcome, perturbation, .. } = &self.measured;
        let (clean, file) = (&outcome.clean, &outcome.file);
        let titles = [("original", clean.dsc), ("adversarial", file.evaluation.dsc)]
            .map(|(what, dsc)| format!("{what}, DSC {dsc:.3}"));
        let overlay = overlay::draw(&Overlay {
            original: (&problem.setup().image, &titles[0]),
            adversarial: (&file.image, &titles[1]),
            perturbation,
            reference: Some(&problem.setup().reference),
            clean_prediction: Some(&clean.mask),
            adversarial_prediction: Some(&file.evaluation.mask),
        })?;
        let mut result = serde_json::to_vec_pretty(&self.result).expect("string keys and plain values are valid JSON");
        result.push(b'\n');
        let artifact = |name: &str, bytes| Artifact { name: name.into(), bytes };
        let mut files = vec![
            artifact(&format!("adversarial.{}", file.container.extension()), file.bytes.clone()),
            artifact("perturbation.png", encode::png(&perturbation.image)?),
            artifact("mask_clean.png", encode::mask_png(&clean.mask)?),
            artifact("mask_adversarial.png", encode::mask_png(&file.evaluation.mask)?),
            artifact("overlay.png", encode::png(&overlay)?),
            artifact("result.json", result),
        ];
        if let Some(Certificate { mask, abstained, .. }) = &outcome.certificate {
            files.push(artifact("mask_smoothed.png", encode::mask_png(mask)?));
            files.push(artifact("abstained.png", encode::mask_png(abstained)?));
        }
        if let Some((_, beside)) = &self.measured.beside {
            let Saved { container, bytes, .. } = &beside.oblivious_file;
            files.push(artifact(&format!("oblivious.{}", container.extension()), bytes.clone()));
        }
        Ok(files)
    }
}

/// An outcome and what it answers.
#[derive(Debug, Clone)]
pub(super) struct Measured {
    problem: Problem,
    outcome: Outcome,
    /// The defence, and what was measured beside the attack on the defended model.
    beside: Option<(Defence, Beside)>,
    kind: Reference,
    perturbation: Perturbation,
}

impl Measured {
    /// What was attacked, and what came of it.
    pub(super) fn problem_and_outcome(&self) -> (&Problem, &Outcome) {
        (&self.problem, &self.outcome)
    }

    fn new(
        problem: Problem,
        (outcome, beside): (Outcome, Option<(Defence, Beside)>),
        kind: Reference,
    ) -> Result<Self, ImagingError> {
        let full = match &outcome.budget {
            Some(budget) if budget.norm == Norm::Linf => Some(budget.pixel255 as f32),
            Some(_) | None => None,
        };
        let perturbation = perturbation::draw(&problem.setup().image, &outcome.file.image, full)?;
        Ok(Self { problem, outcome, beside, kind, perturbation })
    }

    fn result(&self, request: &AttackRequest, model: &str) -> Result<AttackResult, RunError> {
        let (outcome, setup) = (&self.outcome, self.problem.setup());
        let clean = self.scored(&outcome.clean, None)?;
        let adversarial_file = self.scored(&outcome.file.evaluation, Some(outcome.file.at))?;
        let predictions = self.problem.confusion(&outcome.file.evaluation.mask, &outcome.clean.mask)?;
        Ok(AttackResult {
            schema_version: SCHEMA_VERSION,
            model: model.into(),
            request: Asked {
                prompt: request.prompt.clone(),
                attack: request.attack.clone(),
                defence: request.defence.clone(),
                loss: setup.choices.loss,
                protocol: request.protocol,
                goal: request.threat.goal.spec(),
                criterion: self.problem.criterion(),
                budget: outcome.budget.clone(),
                allowed_pixels: setup.region.as_ref().map(Mask::area),
                seed: request.seed,
            },
            image: Size { width: setup.image.width(), height: setup.image.height() },
            reference: self.kind,
            success: outcome.success,
            within_budget: outcome.within_budget,
            worst: outcome.chosen().and_then(|chosen| chosen.tried.clone()),
            adversarial_prompt: outcome.chosen().and_then(|chosen| Some(chosen.prompt.as_ref()?.text.clone())),
            prompt_sensitivity: outcome.prompt_sensitivity(),
            defence: self
                .beside
                .as_ref()
                .map(|(defence, beside)| DefenceResult::new((defence, &setup.prompt), outcome, beside)),
            deltas: Deltas::between(&clean.scores, &adversarial_file.scores, &predictions),
            transfer: vec![],
            clean,
            clean_reencoded: outcome.clean_reread.as_ref().map(|e| self.scored(e, None)).transpose()?,
            adversarial_file,
            adversarial_file_original_prompt: outcome
                .under_original
                .as_ref()
                .map(|evaluation| self.scored(evaluation, None))
                .transpose()?,
            adversarial_float: self.scored(&outcome.float.evaluation, Some(outcome.float.at))?,
            perturbation: PerturbationScores::between(&setup.image, &outcome.file.image)?,
            smallest: outcome.smallest.clone(),
            patch: PatchResult::new(&self.problem, outcome),
            certificate: outcome.certificate.as_ref().map(|found| found.scores(&setup.reference)).transpose()?,
            perturbation_picture: PerturbationPicture {
                zero_level: 128,
                amplified: self.perturbation.factor,
                caption: self.perturbation.caption.clone(),
            },
            queries: outcome.queries,
            steps: outcome.records.clone(),
            notes: self.notes(request)?,
        })
    }

    fn scored(&self, evaluation: &Evaluation, at: Option<At>) -> Result<Scored, RunError> {
        Ok(Scored {
            scores: self.problem.mask_scores(&evaluation.mask, &self.problem.setup().reference)?,
            dsc_to_target: evaluation.target_dsc,
            objective: evaluation.loss,
            at,
        })
    }

    fn notes(&self, request: &AttackRequest) -> Result<Vec<String>, RunError> {
        let mut notes = vec![];
        if self.kind == Reference::CleanPrediction {
            notes.push(
                "no reference mask was given: all scores compare with the model's own prediction on the clean image, \
                 which may itself be wrong"
                    .into(),
            );
        }
        let (before, after) = (&request.image.image, &self.problem.setup().image);
        if (before.width(), before.height()) != (after.width(), after.height()) {
            notes.push(format!(
                "the protocol {} works at the network's size: image and masks were resized from {}x{} to {}x{}",
                request.protocol,
                before.width(),
                before.height(),
                after.width(),
                after.height()
            ));
        }
        notes.extend(request.image.notes.iter().cloned());
        let setup = self.problem.setup();
        notes.extend(setup.goal.notes(self.problem.aim(), &setup.reference));
        notes.extend(PatchResult::new(&self.problem, &self.outcome).iter().flat_map(PatchResult::notes));
        if let Some((defence, beside)) = &self.beside {
            let measured = (&self.problem, &self.outcome);
            let defence = (defence, request.prompt.as_str());
            notes.extend(DefenceResult::new(defence, &self.outcome, beside).notes(measured, beside)?);
        }
        notes.extend(self.outcome.notes.iter().cloned());
        Ok(notes)
    }
}
