//! From the embeddings to the logits, state by state.

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::{FORWARD, Probe, Reference, Row, relative};

pub fn rows(probe: &Probe, reference: &Reference) -> Result<Vec<Row>> {
    let image = reference.unit("image")?;
    let trace = probe.trace(&image)?;
    let mut rows = vec![
        row(reference, "position embedding", "position_embedding", &trace.position_embedding.squeeze(0)?)?,
        row(reference, "conditional embedding", "conditional", &probe.prompt.0)?,
    ];
    for (prefix, label, states) in
        [("hidden", "vision state", &trace.hidden), ("decoder", "decoder state", &trace.decoder)]
    {
        let names = reference.series(prefix);
        ensure!(names.len() == states.len(), "{} {label}s, the reference has {}", states.len(), names.len());
        for (i, (name, state)) in names.iter().zip(states).enumerate() {
            rows.push(row(reference, &format!("{label} {i}"), name, &state.squeeze(0)?)?);
        }
    }
    rows.push(row(reference, "logits", "logits", &trace.logits.squeeze(0)?)?);
    rows.extend(two_prompts(probe, reference, &image)?);
    if reference.has("other_size.image") {
        let bigger = reference.unit("other_size.image")?;
        let logits = probe.logits(&bigger, std::slice::from_ref(&probe.prompt))?.squeeze(0)?;
        let label = format!("logits at {} x {0} pixels", bigger.dim(2)?);
        rows.push(row(reference, &label, "other_size.logits", &logits)?);
    }
    Ok(rows)
}

/// One image under two prompts in one batch: rows must not mix.
fn two_prompts(probe: &Probe, reference: &Reference, image: &Tensor) -> Result<Vec<Row>> {
    let other = probe.prepare(&reference.description.other_prompt)?;
    let both = probe.logits(&Tensor::cat(&[image, image], 0)?, &[probe.prompt.clone(), other.clone()])?;
    Ok(vec![
        row(reference, "conditional embedding, second prompt", "other_prompt.conditional", &other.0)?,
        row(reference, "logits, first row of a batch", "logits", &both.get(0)?)?,
        row(reference, "logits, second row and prompt", "other_prompt.logits", &both.get(1)?)?,
    ])
}

fn row(reference: &Reference, label: &str, name: &str, ours: &Tensor) -> Result<Row> {
    Ok(Row::new(label, relative(ours, reference.tensor(name)?)?, reference.pytorch(name), FORWARD))
}
