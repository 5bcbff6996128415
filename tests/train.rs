//! Training end to end, on phantoms and a network small enough for a test.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use segprobe::imaging::Mask;
use segprobe::model::SegmentationModel;
use segprobe::model::clipseg::{AdapterKind, AdapterScope, ClipSeg};
use segprobe::phantom::{Kind, draw, write_folder};
use segprobe::train::{Length, Progress, Start, TrainConfig, TrainError, train};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const CONFIG: &str = r#"{"projection_dim": 16, "extract_layers": [0, 1], "reduce_dim": 16,
  "decoder_num_attention_heads": 2, "decoder_intermediate_size": 32,
  "text_config": {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2},
  "vision_config": {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
    "image_size": 32, "patch_size": 8}}"#;

/// A folder with two sets of phantoms and an architecture.
struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Result<Self> {
        let lab = Self(tempfile::tempdir()?);
        for kind in [Kind::Dermoscopy, Kind::Xray] {
            write_folder(kind, &lab.path(kind.name()), 0..12, (48, 40))?;
        }
        std::fs::create_dir(lab.path("architecture"))?;
        std::fs::write(lab.path("architecture/config.json"), CONFIG)?;
        std::fs::write(lab.path("architecture/preprocessor_config.json"), r#"{"size": 32}"#)?;
        Ok(lab)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn config(&self, out: &str, steps: usize) -> TrainConfig {
        TrainConfig {
            data: vec![self.path("dermoscopy"), self.path("xray")],
            validation_share: 0.3,
            phrasings: None,
            start: Start::Architecture(self.path("architecture")),
            out: self.path(out),
            length: Length::Steps(steps),
            batch: 4,
            rate: 3e-3,
            warm_up: 5,
            stages: vec![],
            balance: 0.6,
            wrong_prompts: 0.2,
            validate_every: 1000,
            seed: 3,
            resume: false,
        }
    }
}

fn go_on(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bytes(folder: &Path, name: &str) -> Result<Vec<u8>> {
    Ok(std::fs::read(folder.join(name))?)
}

#[test]
fn a_model_learns_and_its_folder_opens() -> Result<()> {
    let lab = Lab::new()?;
    let mut losses = Vec::new();
    let scores = train(&lab.config("out", 120), &mut |line| {
        losses.push(line.loss);
        ControlFlow::Continue(())
    })?;
    assert!(losses[5] < 0.9 * losses[0], "the loss does not fall: {losses:?}");
    let lungs = scores.iter().find(|s| s.set == "xray").ok_or("no score of the X-rays")?;
    assert!(lungs.dsc > 0.3, "DSC {}", lungs.dsc);
    let model = ClipSeg::open(&lab.path("out"), None, &Device::Cpu, DType::F32)?;
    let (image, _) = draw(Kind::Xray, 99, 60, 50);
    let x = model.preprocess().forward(&image.to_tensor(&Device::Cpu)?)?.unsqueeze(0)?;
    let logits = model.logits(&x, &[model.prepare_prompt("lungs")?])?;
    assert!(Mask::from_logits(&logits.squeeze(0)?)?.area() > 0);
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_model_also_through_a_stop() -> Result<()> {
    let lab = Lab::new()?;
    train(&lab.config("whole", 40), &mut go_on)?;
    train(&lab.config("parts", 40), &mut |_| ControlFlow::Break(()))?;
    assert!(!lab.path("parts/model.safetensors").exists(), "the run did not stop at its first report");
    train(&TrainConfig { resume: true, ..lab.config("parts", 40) }, &mut go_on)?;
    let (whole, parts) = (lab.path("whole"), lab.path("parts"));
    assert_eq!(bytes(&whole, "model.safetensors")?, bytes(&parts, "model.safetensors")?);
    assert_eq!(bytes(&whole, "vocab.json")?, bytes(&parts, "vocab.json")?);
    train(&TrainConfig { seed: 4, ..lab.config("other", 40) }, &mut go_on)?;
    assert_ne!(bytes(&whole, "model.safetensors")?, bytes(&lab.path("other"), "model.safetensors")?);
    Ok(())
}

#[test]
fn adapters_train_on_a_frozen_model_and_open_with_it() -> Result<()> {
    let lab = Lab::new()?;
    train(&lab.config("base", 20), &mut go_on)?;
    let base = bytes(&lab.path("base"), "model.safetensors")?;
    for (kind, name) in [(AdapterKind::Dense, "dense"), (AdapterKind::Shallow, "shallow")] {
        let scope = AdapterScope { kind, vision: true, text: true, conditional: true, width: 4, conditional_width: 8 };
        let start = Start::Adapters(lab.path("base"), scope);
        train(&TrainConfig { start, ..lab.config(name, 20) }, &mut go_on)?;
        assert_eq!(base, bytes(&lab.path("base"), "model.safetensors")?);
        let adapter = lab.path(name).join("adapter.safetensors");
        let plain = ClipSeg::open(&lab.path("base"), None, &Device::Cpu, DType::F32)?;
        let adapted = ClipSeg::open(&lab.path("base"), Some(&adapter), &Device::Cpu, DType::F32)?;
        let (image, _) = draw(Kind::Xray, 99, 60, 50);
        let x = plain.preprocess().forward(&image.to_tensor(&Device::Cpu)?)?.unsqueeze(0)?;
        let answer = |model: &ClipSeg| -> Result<Vec<f32>> {
            Ok(model.logits(&x, &[model.prepare_prompt("lungs")?])?.flatten_all()?.to_vec1()?)
        };
        assert_ne!(answer(&plain)?, answer(&adapted)?, "{name} adapters change nothing");
    }
    Ok(())
}

#[test]
fn fine_tuning_starts_from_the_model() -> Result<()> {
    let lab = Lab::new()?;
    train(&lab.config("base", 120), &mut go_on)?;
    let mut first = None;
    let tuned = TrainConfig { start: Start::Model(lab.path("base")), rate: 1e-4, ..lab.config("tuned", 20) };
    let scores = train(&tuned, &mut |line| {
        first.get_or_insert(line.loss);
        ControlFlow::Continue(())
    })?;
    assert!(first.ok_or("no report")? < 1.6, "starts at a loss of {first:?}");
    assert!(scores.iter().any(|s| s.dsc > 0.3), "{scores:?}");
    assert!(lab.path("tuned/vocab.json").exists());
    Ok(())
}

#[test]
fn data_that_does_not_fit_is_refused() -> Result<()> {
    let lab = Lab::new()?;
    let phrasings = lab.path("phrasings.json");
    std::fs::write(&phrasings, r#"{"structures": [{"names": ["lungs"], "phrasings": ["lungs"]}]}"#)?;
    let unknown = TrainConfig { phrasings: Some(phrasings), ..lab.config("out", 5) };
    let message = train(&unknown, &mut go_on).expect_err("no phrasings").to_string();
    assert!(message.contains("skin lesion"), "{message}");
    std::fs::write(lab.path("xray/masks/xray-0003.png"), b"not a picture")?;
    let message = train(&lab.config("out", 5), &mut go_on).expect_err("a damaged mask").to_string();
    assert!(message.contains("xray-0003.png"), "{message}");
    let absent = TrainConfig { data: vec![lab.path("absent")], ..lab.config("out", 5) };
    assert!(matches!(train(&absent, &mut go_on), Err(TrainError::Read { .. })));
    Ok(())
}
