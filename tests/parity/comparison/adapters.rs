//! Every adapter file of a folder: safetensors, and Lightning checkpoints with the same weights inside.

use anyhow::Result;
use candle_core::DType;
use segprobe::loss::Loss;

use super::gradient::loss_rows;
use super::{FORWARD, Probe, Reference, Row, relative};

pub fn rows(reference: &Reference) -> Result<Vec<Row>> {
    let (image, target) = (reference.unit("image")?, reference.tensor("target")?);
    let mut rows = vec![];
    for adapter in &reference.description.adapters {
        let probe = Probe::open(reference, Some(&reference.folder.join(&adapter.file)), DType::F32)?;
        let prefix = format!("adapter.{}.", adapter.reference);
        let logits = probe.logits(&image, std::slice::from_ref(&probe.prompt))?.squeeze(0)?;
        let (value, gradient) = probe.loss_and_gradient(Loss::DiceCe, &image, target)?;
        let mut of_file = vec![];
        for (label, name, ours) in
            [("conditional embedding", "conditional", &probe.prompt.0), ("logits", "logits", &logits)]
        {
            let name = format!("{prefix}{name}");
            let error = relative(ours, reference.tensor(&name)?)?;
            of_file.push(Row::new(label, error, reference.pytorch(&name), FORWARD));
        }
        of_file.extend(loss_rows(reference, &prefix, Loss::DiceCe, value, &gradient)?);
        let file = adapter.file_name();
        rows.extend(of_file.into_iter().map(|row| Row { quantity: format!("{file}: {}", row.quantity), ..row }));
    }
    Ok(rows)
}
