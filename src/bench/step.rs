//! One step of a white-box attack: forward, loss, gradient to the image.

use candle_core::{DType, Tensor};
use serde::Serialize;

use super::sample::{Batch, Sample};
use super::{BenchError, Timing};
use crate::loss::{self, Loss, LossError};
use crate::model::clipseg::Work;
use crate::model::{Conditioning, ModelError, SegmentationModel};
use crate::telemetry::process;

/// What a step's loss is: the default of attacks.
const LOSS: Loss = Loss::DiceCe;
/// Budget and step of the PGD loop, in [0, 1].
const EPSILON: f64 = 8. / 255.;
const ALPHA: f64 = 2. / 255.;

/// What to time.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Images in one call of the model.
    pub batch: usize,
    /// Side of the square input in pixels.
    pub side: usize,
    /// Timed runs of each kind.
    pub runs: usize,
    /// Steps of the PGD loop; without any, it is left out.
    pub pgd_steps: usize,
}

/// How long it took, and how much arithmetic it was.
#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    /// Images in one call of the model.
    pub batch: usize,
    /// Side of the square input in pixels.
    pub resolution_px: usize,
    /// Arithmetic of a forward pass over the batch, 10^9 floating-point operations.
    pub forward_gflop: f64,
    /// The same of a step.
    pub step_gflop: f64,
    /// Logits only.
    pub forward: Timing,
    /// Logits, loss and gradient.
    pub step: Timing,
    /// PGD from the clean pictures, all its steps together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pgd: Option<Pgd>,
    /// Most resident memory from before the first run to after the last.
    pub peak_rss_mib: Option<f64>,
    /// The loss of every row.
    pub losses: Vec<f32>,
}

/// A PGD loop that was timed.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Pgd {
    /// Its number of steps.
    pub steps: usize,
    /// Seconds of the whole loop.
    pub timing: Timing,
}

impl Figures {
    /// 10^9 floating-point operations a second in a step.
    pub fn gflops(&self) -> f64 {
        self.step_gflop / self.step.median_s
    }
}

/// Times a model on a batch made of one sample; answers also the step's gradient `[batch, 3, side, side]` with respect to
/// `pixel_values`. `work` is the arithmetic of one image.
///
/// # Errors
/// A size or prompt that the model cannot take.
pub fn measure(
    model: &dyn SegmentationModel,
    work: Work,
    sample: &Sample,
    plan: Plan,
) -> Result<(Figures, Tensor), BenchError> {
    process::forget_peak();
    let batch = Batch::new(sample, plan.batch, plan.side, model.preprocess(), model.device())?;
    let prompts = vec![model.prepare_prompt(&sample.prompt)?; plan.batch];
    let stepper = Stepper { model, prompts, targets: batch.targets.clone() };

    let forward = Timing::of(plan.runs, || stepper.forward(&batch.pixel_values))?;
    let step = Timing::of(plan.runs, || stepper.step(&batch.pixel_values).map(|_| ()))?;
    let pgd = match plan.pgd_steps {
        0 => None,
        steps => Some(Pgd { steps, timing: Timing::of(plan.runs, || stepper.pgd(&batch.images, steps).map(|_| ()))? }),
    };
    let (losses, gradient) = stepper.step(&batch.pixel_values)?;
    let gflop = |operations: u64| (operations * plan.batch as u64) as f64 / 1e9;
    let figures = Figures {
        batch: plan.batch,
        resolution_px: plan.side,
        forward_gflop: gflop(work.forward),
        step_gflop: gflop(work.step()),
        forward,
        step,
        pgd,
        peak_rss_mib: process::peak_resident_bytes().map(|bytes| bytes as f64 / 1_048_576.),
        losses: losses.to_vec1()?,
    };
    Ok((figures, gradient))
}

/// The model with everything but the images.
struct Stepper<'a> {
    model: &'a dyn SegmentationModel,
    prompts: Vec<Conditioning>,
    targets: Tensor,
}

impl Stepper<'_> {
    fn forward(&self, pixel_values: &Tensor) -> Result<(), BenchError> {
        self.model.logits(pixel_values, &self.prompts)?;
        Ok(self.model.device().synchronize()?)
    }

    /// The losses `[batch]` and the gradient of each with respect to its own row.
    fn step(&self, pixel_values: &Tensor) -> Result<(Tensor, Tensor), BenchError> {
        let mut losses = None;
        let (_, gradient) = self.model.logits_and_vjp(pixel_values, &self.prompts, &mut |logits| {
            let (values, slope) = loss::gradient(LOSS, logits, &self.targets).map_err(|error| match error {
                LossError::NoGradient(_) => ModelError::Gradient("missing at the logits"),
                LossError::Tensor(error) => ModelError::Tensor(error),
            })?;
            losses = Some(values);
            Ok(slope)
        })?;
        self.model.device().synchronize()?;
        let losses = losses.ok_or(ModelError::Gradient("missing"))?;
        Ok((losses, gradient.to_dtype(DType::F32)?))
    }

    /// Linf PGD in [0, 1] without a random start; answers the last point.
    fn pgd(&self, clean: &Tensor, steps: usize) -> Result<Tensor, BenchError> {
        let (least, most) = ((clean - EPSILON)?.clamp(0., 1.)?, (clean + EPSILON)?.clamp(0., 1.)?);
        let mut x = clean.clone();
        for _ in 0..steps {
            let (_, gradient) = self.step(&self.model.preprocess().normalise(&x)?)?;
            // Normalising divides by a positive number, which no sign depends on.
            x = (x + (gradient.sign()? * ALPHA)?)?.maximum(&least)?.minimum(&most)?;
        }
        self.model.device().synchronize()?;
        Ok(x)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::model::Source;

    #[test]
    fn a_step_is_timed_with_the_gradient_that_raises_the_loss() -> Result<(), Box<dyn std::error::Error>> {
        let model = Source::Embedded.open(None, &Device::Cpu, DType::F32)?;
        let side = 88;
        let plan = Plan { batch: 2, side, runs: 1, pgd_steps: 1 };
        let sample = &Sample::all()[0];
        let (figures, gradient) = measure(&model, model.work(side).expect("its own side"), sample, plan)?;
        assert_eq!(gradient.dims(), [2, 3, side, side]);
        assert!(
            figures.gflops() > 0.
                && figures.step_gflop == 2. * model.work(side).expect("its own side").step() as f64 / 1e9
        );
        assert!(figures.pgd.is_some_and(|pgd| pgd.timing.median_s > 0.));

        let batch = Batch::new(sample, 2, side, model.preprocess(), model.device())?;
        let prompts = vec![model.prepare_prompt(&sample.prompt)?; 2];
        let stepper = Stepper { model: &model, prompts, targets: batch.targets };
        let attacked = stepper.pgd(&batch.images, 3)?;
        let most = (&attacked - &batch.images)?.abs()?.max_all()?.to_scalar::<f32>()?;
        assert!(f64::from(most) <= EPSILON + 1e-6, "{most}");
        let (losses, _) = stepper.step(&model.preprocess().normalise(&attacked)?)?;
        for (after, before) in losses.to_vec1::<f32>()?.into_iter().zip(figures.losses) {
            assert!(after > before + 0.05, "{before} to {after}");
        }
        Ok(())
    }
}
