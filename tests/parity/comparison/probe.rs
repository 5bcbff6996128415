//! Our model, asked about images in [0, 1].

use std::path::Path;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use segprobe::loss::{self, Loss};
use segprobe::model::clipseg::{ClipSeg, Trace};
use segprobe::model::{Conditioning, ModelError, SegmentationModel};

use super::{Reference, Row};

const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// A model with the prompt of its reference prepared.
pub struct Probe {
    model: ClipSeg,
    dtype: DType,
    /// The prompt after the text tower.
    pub prompt: Conditioning,
}

impl Probe {
    pub fn open(reference: &Reference, adapter: Option<&Path>, dtype: DType) -> Result<Self> {
        let model = ClipSeg::open(&reference.folder, adapter, &Device::Cpu, dtype)?;
        let prompt = model.prepare_prompt(&reference.description.prompt)?;
        Ok(Self { model, dtype, prompt })
    }

    /// Number of prompts whose tokens differ: none may.
    pub fn tokens(&self, reference: &Reference) -> Result<Row> {
        let all = &reference.description.tokens;
        let mut differing = 0;
        for case in all {
            let ids = self.model.tokens(&case.prompt)?;
            if ids != case.ids {
                eprintln!("{:?}: {ids:?} instead of {:?}", case.prompt, case.ids);
                differing += 1;
            }
        }
        let quantity = format!("prompts of {} with other tokens", all.len());
        Ok(Row::new(quantity, f64::from(differing), None, 0.))
    }

    /// Encodes another prompt.
    pub fn prepare(&self, prompt: &str) -> Result<Conditioning> {
        Ok(self.model.prepare_prompt(prompt)?)
    }

    /// Logits `[batch, h, w]` of images `[batch, 3, h, w]` in [0, 1].
    pub fn logits(&self, x: &Tensor, prompts: &[Conditioning]) -> Result<Tensor> {
        Ok(self.model.logits(&self.pixel_values(x)?, prompts)?)
    }

    /// Every state on the way to the logits of one image `[1, 3, h, w]` in [0, 1].
    pub fn trace(&self, x: &Tensor) -> Result<Trace> {
        Ok(self.model.trace(&self.pixel_values(x)?, std::slice::from_ref(&self.prompt))?)
    }

    /// The loss of one image `[1, 3, h, w]` in [0, 1] against `target` `[h, w]`, and its gradient `[3, h, w]`.
    pub fn loss_and_gradient(&self, loss: Loss, x: &Tensor, target: &Tensor) -> Result<(f64, Tensor)> {
        let target = target.to_dtype(self.dtype)?;
        let mut cotangent = |logits: &Tensor| {
            let (_, gradient) = loss::gradient(loss, &logits.squeeze(0)?, &target)
                .map_err(|e| ModelError::Tensor(candle_core::Error::wrap(e)))?;
            Ok(gradient.unsqueeze(0)?)
        };
        let prompt = std::slice::from_ref(&self.prompt);
        let (logits, gradient) = self.model.logits_and_vjp(&self.pixel_values(x)?, prompt, &mut cotangent)?;
        let value = loss.value(&logits.squeeze(0)?, &target)?.to_dtype(DType::F64)?.to_scalar()?;
        let gradient = gradient.squeeze(0)?.to_dtype(DType::F64)?.broadcast_div(&channels(STD)?)?;
        Ok((value, gradient))
    }

    /// Normalised in f64 whatever the model's precision, so that only the model's error is measured.
    fn pixel_values(&self, x: &Tensor) -> Result<Tensor> {
        Ok(x.broadcast_sub(&channels(MEAN)?)?.broadcast_div(&channels(STD)?)?.to_dtype(self.dtype)?)
    }
}

fn channels(values: [f64; 3]) -> Result<Tensor> {
    Ok(Tensor::new(&values, &Device::Cpu)?.reshape((3, 1, 1))?)
}
