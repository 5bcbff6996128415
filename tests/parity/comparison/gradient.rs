//! Losses, their gradient to the image, and the steps of an attack.

use anyhow::Result;
use candle_core::{DType, Tensor};
use segprobe::loss::Loss;

use super::reference::unit;
use super::{FORWARD, GRADIENT, Probe, Reference, Row, SIGNS, relative};

pub fn rows(probe: &Probe, reference: &Reference) -> Result<Vec<Row>> {
    let (image, target) = (reference.unit("image")?, reference.tensor("target")?);
    let mut rows = vec![];
    for loss in [Loss::DiceCe, Loss::DiceCePaper, Loss::Bce] {
        let (value, gradient) = probe.loss_and_gradient(loss, &image, target)?;
        rows.extend(loss_rows(reference, "", loss, value, &gradient)?);
        if loss == Loss::DiceCe {
            let truth = reference.tensor("gradient.dice_ce")?;
            rows.push(Row::new("FGSM: share of other signs", other_signs(&gradient, truth)?, None, SIGNS));
        }
    }
    Ok(rows)
}

/// Value and gradient of one loss; quantities are called `PREFIXloss.NAME` and `PREFIXgradient.NAME`.
pub fn loss_rows(reference: &Reference, prefix: &str, loss: Loss, value: f64, gradient: &Tensor) -> Result<Vec<Row>> {
    let [value_name, gradient_name] = ["loss", "gradient"].map(|what| format!("{prefix}{what}.{loss}"));
    let truth = reference.tensor(&value_name)?.to_dtype(DType::F64)?.to_scalar::<f64>()?;
    let error = relative(gradient, reference.tensor(&gradient_name)?)?;
    let pytorch = reference.pytorch(&gradient_name);
    Ok(vec![
        Row::new(format!("loss {loss}"), (value - truth).abs() / truth.abs(), reference.pytorch(&value_name), FORWARD),
        Row::new(format!("gradient of {loss}"), error, pytorch, GRADIENT),
    ])
}

/// PGD step by step from the reference's own points: the sign makes a rounding error a whole step, so two correct
/// runs part ways, but from one point both must go to the same next one.
pub fn attack_rows(probe: &Probe, reference: &Reference) -> Result<Vec<Row>> {
    let (points, truth) = (reference.tensor("pgd.points")?, reference.tensor("pgd.gradients")?);
    let (target, start) = (reference.tensor("target")?, points.get(0)?);
    let steps = truth.dim(0)?;
    let (mut ours, mut missed) = (vec![], 0f64);
    for k in 0..steps {
        let point = points.get(k)?;
        let (_, gradient) = probe.loss_and_gradient(Loss::DiceCe, &unit(&point)?.unsqueeze(0)?, target)?;
        let next = step(&start, &point, &gradient, reference)?;
        missed = missed.max(share_differing(&next, &points.get(k + 1)?)?);
        ours.push(gradient);
    }
    let error = relative(&Tensor::stack(&ours, 0)?, truth)?;
    let pytorch = reference.pytorch("pgd.gradients");
    Ok(vec![
        Row::new(format!("PGD-{steps}: gradients at its points"), error, pytorch, GRADIENT),
        Row::new(format!("PGD-{steps}: share of other values after a step, worst step"), missed, None, SIGNS),
    ])
}

/// One step in whole grey levels.
fn step(start: &Tensor, point: &Tensor, gradient: &Tensor, reference: &Reference) -> Result<Vec<u8>> {
    let (epsilon, alpha) = (reference.description.epsilon, reference.description.alpha);
    let start = start.flatten_all()?.to_vec1::<u8>()?;
    let point = point.flatten_all()?.to_vec1::<u8>()?;
    let gradient = gradient.flatten_all()?.to_vec1::<f64>()?;
    let moved = start.iter().zip(point).zip(gradient).map(|((&x, at), g)| {
        let x = i32::from(x);
        let to = i32::from(at) + alpha * sign(g);
        to.clamp(x - epsilon, x + epsilon).clamp(0, 255) as u8
    });
    Ok(moved.collect())
}

/// Zero has no sign, unlike `f64::signum`.
fn sign(g: f64) -> i32 {
    i32::from(g > 0.) - i32::from(g < 0.)
}

fn share_differing(ours: &[u8], truth: &Tensor) -> Result<f64> {
    let truth = truth.flatten_all()?.to_vec1::<u8>()?;
    Ok(ours.iter().zip(&truth).filter(|(a, b)| a != b).count() as f64 / truth.len() as f64)
}

/// Share of the values above a thousandth of the largest whose sign differs.
fn other_signs(ours: &Tensor, truth: &Tensor) -> Result<f64> {
    let [ours, truth] = [ours, truth].map(|t| t.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>());
    let (ours, truth) = (ours?, truth?);
    let largest = truth.iter().fold(0f64, |m, g| m.max(g.abs()));
    let clear: Vec<_> = ours.iter().zip(&truth).filter(|(_, g)| g.abs() > 1e-3 * largest).collect();
    Ok(clear.iter().filter(|(a, b)| sign(**a) != sign(**b)).count() as f64 / clear.len() as f64)
}
