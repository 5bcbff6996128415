//! The vector-Jacobian product against central differences of the loss, in float64, for every checkpoint and adapter
//! of the fixtures: independent of any other implementation.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use segprobe::loss::{self, Loss};
use segprobe::model::clipseg::ClipSeg;
use segprobe::model::{Conditioning, ModelError, SegmentationModel, Source, TextInput};

/// Half the distance of a central difference, in normalised units: truncation and rounding are both far below
/// [`TOLERANCE`], and few ReLUs change side within it.
const H: f64 = 1e-6;
/// Largest error allowed, relative to the largest component of the gradient.
const TOLERANCE: f64 = 1e-6;
const PIXELS: usize = 24;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

/// `pixel_values` `[3, h, w]` and target `[1, h, w]` of a fixture, both f64.
fn inputs(folder: &Path) -> candle_core::Result<(Tensor, Tensor)> {
    let stored = candle_core::safetensors::load(folder.join("reference.safetensors"), &Device::Cpu)?;
    let pixel_values = stored["image"].get(0)?.to_dtype(DType::F64)?.affine(4. / 255., -2.)?;
    Ok((pixel_values, stored["target"].to_dtype(DType::F64)?.unsqueeze(0)?))
}

/// The loss's gradient to `pixel_values`, flat.
fn gradient(model: &ClipSeg, x: &Tensor, prompt: &Conditioning, target: &Tensor) -> Result<Vec<f64>, ModelError> {
    let mut cotangent = |logits: &Tensor| {
        let (_, gradient) = loss::gradient(Loss::DiceCe, logits, target).map_err(candle_core::Error::wrap)?;
        Ok(gradient)
    };
    let (_, gradient) = model.logits_and_vjp(&x.unsqueeze(0)?, std::slice::from_ref(prompt), &mut cotangent)?;
    Ok(gradient.flatten_all()?.to_vec1()?)
}

/// Central differences at flat positions `at`, two rows of one batch for each.
fn differences(
    model: &ClipSeg,
    x: &Tensor,
    prompt: &Conditioning,
    target: &Tensor,
    at: &[usize],
) -> Result<Vec<f64>, ModelError> {
    let flat = x.flatten_all()?.to_vec1::<f64>()?;
    let mut rows = vec![];
    for &i in at {
        for h in [H, -H] {
            let mut moved = flat.clone();
            moved[i] += h;
            rows.push(Tensor::from_vec(moved, x.shape(), x.device())?);
        }
    }
    let logits = model.logits(&Tensor::stack(&rows, 0)?, &vec![prompt.clone(); rows.len()])?;
    let losses = Loss::DiceCe.value(&logits, &target.broadcast_as(logits.shape())?.contiguous()?)?.to_vec1::<f64>()?;
    Ok(losses.chunks_exact(2).map(|pair| (pair[0] - pair[1]) / (2. * H)).collect())
}

/// Half of the positions have the largest components, the others lie evenly over the image.
fn positions(gradient: &[f64]) -> Vec<usize> {
    let mut order: Vec<_> = (0..gradient.len()).collect();
    order.sort_by(|&i, &j| gradient[j].abs().total_cmp(&gradient[i].abs()));
    order.truncate(PIXELS / 2);
    order.extend((0..PIXELS / 2).map(|k| (2 * k + 1) * gradient.len() / PIXELS));
    order
}

fn assert_differences_agree(checkpoint: &str, adapter: Option<&str>) {
    let folder = fixture(checkpoint);
    let file = adapter.map(|name| folder.join("adapters").join(name));
    let model = ClipSeg::open(&folder, file.as_deref(), &Device::Cpu, DType::F64).expect("a loadable checkpoint");
    let prompt = model.prepare_prompt("a photo of a polyp").expect("a prompt");
    let (x, target) = inputs(&folder).expect("a readable fixture");

    let gradient = gradient(&model, &x, &prompt, &target).expect("a gradient");
    let at = positions(&gradient);
    let differences = differences(&model, &x, &prompt, &target, &at).expect("losses");
    let largest = gradient[at[0]].abs();
    assert!(largest > 0.);
    for (&i, difference) in at.iter().zip(differences) {
        let error = (gradient[i] - difference).abs() / largest;
        assert!(error < TOLERANCE, "{checkpoint} {adapter:?} at {i}: {} and {difference}", gradient[i]);
    }
}

#[test]
fn without_an_adapter() {
    assert_differences_agree("tiny", None);
    assert_differences_agree("tiny-simple", None);
}

#[test]
fn with_a_dense_adapter() {
    for name in ["dense_vlc.safetensors", "dense_v.safetensors", "dense_vl.safetensors", "dense_vlc.ckpt"] {
        assert_differences_agree("tiny", Some(name));
    }
    assert_differences_agree("tiny-simple", Some("dense_vlc.safetensors"));
}

#[test]
fn with_a_shallow_adapter() {
    for name in ["shallow_vlc.safetensors", "shallow_v.safetensors", "shallow_vlc.ckpt"] {
        assert_differences_agree("tiny", Some(name));
    }
}

/// The loss at `text`, and its gradient to the text, flat.
fn text_gradient(model: &ClipSeg, x: &Tensor, text: &TextInput, target: &Tensor) -> Result<Vec<f64>, ModelError> {
    let mut cotangent = |logits: &Tensor| {
        let (_, gradient) = loss::gradient(Loss::DiceCe, logits, target).map_err(candle_core::Error::wrap)?;
        Ok(gradient)
    };
    let (_, gradient) = model.logits_and_text_vjp(&x.unsqueeze(0)?, text, &mut cotangent)?;
    Ok(gradient.flatten_all()?.to_vec1()?)
}

/// Entries of the gradient to the embedding of a prompt, evenly spread.
fn assert_text_differences_agree(model: &ClipSeg, (x, target): (&Tensor, &Tensor), tolerance: f64) {
    let Conditioning(embedding) = model.prepare_prompt("a photo of a polyp").expect("a prompt");
    let text = TextInput::Conditioning(Conditioning(embedding.clone()));
    let gradient = text_gradient(model, x, &text, target).expect("a gradient");
    let values = embedding.to_vec1::<f64>().expect("an embedding");
    let largest = gradient.iter().fold(0., |largest: f64, g| largest.max(g.abs()));
    assert!(largest > 0.);
    for i in (0..values.len()).step_by(values.len().div_ceil(PIXELS)) {
        let loss = |h: f64| {
            let mut moved = values.clone();
            moved[i] += h;
            let moved = Conditioning(Tensor::new(moved, &Device::Cpu)?);
            let logits = model.logits(&x.unsqueeze(0)?, std::slice::from_ref(&moved))?;
            Ok::<_, ModelError>(Loss::DiceCe.value(&logits, target)?.to_vec1::<f64>()?[0])
        };
        let difference = (loss(H).expect("a loss") - loss(-H).expect("a loss")) / (2. * H);
        let error = (gradient[i] - difference).abs() / largest;
        assert!(error < tolerance, "at {i}: {} and {difference}", gradient[i]);
    }
}

#[test]
fn to_the_embedding_of_a_prompt() {
    for (checkpoint, adapter) in [("tiny", None), ("tiny", Some("shallow_vlc.safetensors")), ("tiny-simple", None)] {
        let folder = fixture(checkpoint);
        let file = adapter.map(|name| folder.join("adapters").join(name));
        let model = ClipSeg::open(&folder, file.as_deref(), &Device::Cpu, DType::F64).expect("a loadable checkpoint");
        let (x, target) = inputs(&folder).expect("a readable fixture");
        assert_text_differences_agree(&model, (&x, &target), TOLERANCE);
    }
}

/// The demo model is what users have: its own sizes, vocabulary and end token.
#[test]
fn to_the_text_of_the_demo_model() {
    let model = Source::Embedded.open(None, &Device::Cpu, DType::F64).expect("the demo model");
    let side = model.preprocess().height;
    let wave = |i: usize| (i as f64 * 0.37).sin() + 0.3 * (i as f64 * 0.011).cos();
    let x =
        Tensor::from_vec((0..3 * side * side).map(wave).collect(), (3, side, side), &Device::Cpu).expect("an image");
    let inside = |i: usize| f64::from(u8::from((40..110).contains(&(i / side)) && (30..130).contains(&(i % side))));
    let target = Tensor::from_vec((0..side * side).map(inside).collect(), (1, side, side), &Device::Cpu);
    let target = target.expect("a mask");
    // Of its many more units some change side within the distance.
    assert_text_differences_agree(&model, (&x, &target), 10. * TOLERANCE);

    // Through the text tower, whose gradient to tokens is held against PyTorch's.
    let ids = model.tokens("a photo of a polyp").expect("tokens");
    let gradient = text_gradient(&model, &x, &TextInput::Tokens(ids.clone()), &target).expect("a gradient");
    assert!(gradient.iter().all(|g| g.is_finite()) && gradient.iter().any(|g| *g != 0.));
    let width = gradient.len() / ids.len();
    let last = &gradient[(ids.len() - 2) * width..(ids.len() - 1) * width];
    assert!(last.iter().any(|g| g.abs() > 0.), "the last word has a gradient of its own");
}
