//! In float64 nothing hides behind rounding: a wrong epsilon, interpolation constant or ReLU mask would show.

use anyhow::Result;
use candle_core::DType;
use segprobe::loss::Loss;

use super::{Probe, Reference, Row, relative};

/// For what the reference stores in float64.
const EXACT: f64 = 1e-10;
/// For what it rounds to float32.
const ROUNDED: f64 = 1e-7;

pub fn rows(reference: &Reference) -> Result<Vec<Row>> {
    let mut rows = vec![];
    let probe = Probe::open(reference, None, DType::F64)?;
    let trace = probe.trace(&reference.unit("image")?)?;
    for (label, name, ours) in [
        ("position embedding", "position_embedding", &trace.position_embedding.squeeze(0)?),
        ("conditional embedding", "conditional", &probe.prompt.0),
        ("logits", "logits", &trace.logits.squeeze(0)?),
    ] {
        rows.push(Row::new(format!("float64: {label}"), relative(ours, reference.tensor(name)?)?, None, EXACT));
    }
    rows.push(gradient(&probe, reference, ("", ""), EXACT)?);
    for adapter in &reference.description.adapters {
        let probe = Probe::open(reference, Some(&reference.folder.join(&adapter.file)), DType::F64)?;
        let label = format!("{}: ", adapter.file_name());
        rows.push(gradient(&probe, reference, (&format!("adapter.{}.", adapter.reference), &label), ROUNDED)?);
    }
    Ok(rows)
}

fn gradient(probe: &Probe, reference: &Reference, (prefix, label): (&str, &str), tolerance: f64) -> Result<Row> {
    let (image, target) = (reference.unit("image")?, reference.tensor("target")?);
    let (_, gradient) = probe.loss_and_gradient(Loss::DiceCe, &image, target)?;
    let error = relative(&gradient, reference.tensor(&format!("{prefix}gradient.dice_ce"))?)?;
    Ok(Row::new(format!("float64: {label}gradient of dice_ce"), error, None, tolerance))
}
