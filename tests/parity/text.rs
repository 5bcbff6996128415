//! The gradients to the text, and what HotFlip estimates from them, against PyTorch in float64.

use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{DType, Device, Tensor};
use segprobe::loss::{self, Loss};
use segprobe::model::clipseg::ClipSeg;
use segprobe::model::{Conditioning, ModelError, SegmentationModel, TextInput};

use super::fixture;

const PROMPT: &str = "a photo of a polyp";
const MEAN: [f64; 3] = [0.485, 0.456, 0.406];
const STD: [f64; 3] = [0.229, 0.224, 0.225];

/// The embedding of [`PROMPT`], the gradients to it and to its tokens' embeddings, and the estimate of each flip.
struct Found {
    embedding: Tensor,
    to_embedding: Tensor,
    to_tokens: Tensor,
    flips: Tensor,
}

fn found(folder: &Path, adapter: Option<&str>, dtype: DType) -> Result<Found> {
    let adapter = adapter.map(|name| folder.join("adapters").join(format!("{name}.safetensors")));
    let model = ClipSeg::open(folder, adapter.as_deref(), &Device::Cpu, dtype)?;
    let stored = candle_core::safetensors::load(folder.join("reference.safetensors"), &Device::Cpu)?;
    let channels = |values: [f64; 3]| Tensor::new(&values, &Device::Cpu)?.reshape((3, 1, 1));
    // the nearest f32 of each level, as the reference has it
    let scale = Tensor::new(255f32, &Device::Cpu)?;
    let image = stored["image"].to_dtype(DType::F32)?.broadcast_div(&scale)?.to_dtype(DType::F64)?;
    let image = image.broadcast_sub(&channels(MEAN)?)?.broadcast_div(&channels(STD)?)?.to_dtype(dtype)?;
    let target = stored["target"].to_dtype(dtype)?.unsqueeze(0)?;
    let gradient = |text: TextInput| {
        let mut cotangent = |logits: &Tensor| {
            let (_, slope) = loss::gradient(Loss::DiceCe, logits, &target)
                .map_err(|error| ModelError::Tensor(candle_core::Error::wrap(error)))?;
            Ok(slope)
        };
        Ok::<_, ModelError>(model.logits_and_text_vjp(&image, &text, &mut cotangent)?.1)
    };
    let Conditioning(embedding) = model.prepare_prompt(PROMPT)?;
    let ids = model.tokens(PROMPT)?;
    let to_embedding = gradient(TextInput::Conditioning(Conditioning(embedding.clone())))?;
    let to_tokens = gradient(TextInput::Tokens(ids.clone()))?;
    let table = model.vocabulary().context("a vocabulary")?.embeddings().clone();
    let here = table.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
    let flips = to_tokens.matmul(&table.t()?)?.broadcast_sub(&(&to_tokens * here)?.sum_keepdim(1)?)?;
    Ok(Found { embedding, to_embedding, to_tokens, flips })
}

/// `|ours - truth| / |truth|`.
fn error(ours: &Tensor, truth: &Tensor) -> Result<f64> {
    assert_eq!(ours.dims(), truth.dims());
    let (ours, truth) = (ours.to_dtype(DType::F64)?, truth.to_dtype(DType::F64)?);
    let norm = |x: &Tensor| x.sqr()?.sum_all()?.to_scalar::<f64>().map(f64::sqrt);
    Ok(norm(&(ours - &truth)?)? / norm(&truth)?)
}

#[test]
fn gradients_to_the_text_are_those_of_pytorch() -> Result<()> {
    for (name, adapters) in [("tiny", &["dense_vlc", "shallow_vlc"][..]), ("tiny-simple", &["dense_vlc"])] {
        let folder = fixture(name);
        let truth = candle_core::safetensors::load(folder.join("text.safetensors"), &Device::Cpu)?;
        // a unit at the kink of its ReLU passes its gradient or not as rounding will have it
        for (dtype, tolerance) in [(DType::F64, 1e-9f64), (DType::F32, 1e-3)] {
            let ours = found(&folder, None, dtype)?;
            let pairs = [
                ("embedding", &ours.embedding, 1e-5),
                ("embedding.gradient", &ours.to_embedding, tolerance),
                ("tokens.gradient", &ours.to_tokens, tolerance),
                ("flips", &ours.flips, tolerance.max(1e-6)),
            ];
            for (what, ours, tolerance) in pairs {
                let error = error(ours, &truth[what])?;
                assert!(error < tolerance, "{name} in {dtype:?}: {what} is off by {error}");
            }
            for adapter in adapters {
                let ours = found(&folder, Some(adapter), dtype)?;
                for (what, ours) in [("embedding.gradient", &ours.to_embedding), ("tokens.gradient", &ours.to_tokens)] {
                    let error = error(ours, &truth[&format!("adapter.{adapter}.{what}")])?;
                    assert!(error < tolerance, "{name} with {adapter} in {dtype:?}: {what} is off by {error}");
                }
            }
        }
    }
    Ok(())
}
