//! The artefact: what is written is what is read, and nothing else is read.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use serde_json::{Value, json};

use super::*;
use crate::attack::{Epsilon, Norm, Unit};
use crate::loss::Loss;

fn about() -> About {
    About {
        format_version: FORMAT_VERSION,
        method: "sgd_uap".into(),
        norm: Norm::Linf,
        epsilon: Epsilon::new(8., Unit::Pixel255).unwrap(),
        loss: Loss::DiceCe,
        seed: 3,
        model: MadeOn { name: "demo".into(), weights_sha256: "ab".repeat(32), adapter_sha256: None },
        sources: vec![Source {
            set: "kvasir_polyp".into(),
            prompts: vec!["polyp".into()],
            training_images: 48,
            held_out_images: 12,
        }],
        training: Some(Measured { clean_dsc: 0.71, dsc: 0.32 }),
        held_out: None,
    }
}

fn tensor(shape: (usize, usize, usize), value: impl Fn(usize) -> f32) -> Tensor {
    let count = shape.0 * shape.1 * shape.2;
    Tensor::from_vec((0..count).map(value).collect(), shape, &Device::Cpu).unwrap()
}

fn wave() -> Tensor {
    tensor((3, 5, 7), |i| (i as f32).sin() * 8. / 255.)
}

fn bytes_of(about: &Value, tensors: &[(&str, Tensor)]) -> Vec<u8> {
    let entries = HashMap::from([("segprobe.universal".to_owned(), about.to_string())]);
    safetensors::serialize(tensors.iter().cloned().collect::<BTreeMap<_, _>>(), Some(entries)).unwrap()
}

#[test]
fn what_is_written_is_what_is_read() {
    let made = UniversalPerturbation::new(&wave(), about()).unwrap();
    let bytes = made.to_bytes().unwrap();
    let read = UniversalPerturbation::from_bytes(&bytes).unwrap();
    let values = |p: &UniversalPerturbation| p.delta().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!((read.about(), values(&read)), (made.about(), values(&made)));
    assert_eq!((read.size(), read.to_bytes().unwrap()), ((5, 7), bytes));
    assert_eq!(read.about().prompts(), ["polyp"]);
}

#[test]
fn resizing_makes_no_value_larger() {
    let corners = tensor((3, 5, 7), |i| if i * i % 5 < 2 { 8. / 255. } else { -8. / 255. });
    let made = UniversalPerturbation::new(&corners, about()).unwrap();
    for to in [(1, 1), (5, 7), (50, 3), (211, 190)] {
        let resized = made.resized(to, &Device::Cpu).unwrap();
        assert_eq!(resized.dims(), [3, to.0, to.1]);
        let largest = resized.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest <= 8. / 255. * (1. + 1e-5), "{to:?}: {largest}");
    }
}

#[test]
fn a_broken_artefact_is_refused_with_the_reason() {
    let good = UniversalPerturbation::new(&wave(), about()).unwrap().to_bytes().unwrap();
    let written = serde_json::to_value(about()).unwrap();
    let with = |field: &str, value: Value| {
        let mut changed = written.clone();
        changed[field] = value;
        bytes_of(&changed, &[("perturbation", wave())])
    };
    let holding = |tensors: &[(&str, Tensor)]| bytes_of(&written, tensors);
    let long = |length: u64| [&length.to_le_bytes()[..], &[b' '; 40]].concat();
    for (bytes, reason) in [
        (vec![], "no whole safetensors"),
        (b"\x89PNG\r\n\x1a\n but not a tensor".to_vec(), "header has more than"),
        (long(u64::MAX), "header has more than"),
        (good[..good.len() - 3].to_vec(), "no whole safetensors"),
        (vec![0; MOST_BYTES + 1], "more than"),
        (safetensors::serialize([("perturbation", wave())], None).unwrap(), "no entry"),
        (with("colour", json!("red")), "unknown field"),
        (with("epsilon", json!({"value": -8, "unit": "pixel255"})), "not negative"),
        (with("epsilon", json!({"value": 7, "unit": "pixel255"})), "more than its epsilon"),
        (with("epsilon", json!({"value": 1, "unit": "normalised"})), "pixel255 or unit01"),
        (with("epsilon", json!({"value": 300, "unit": "pixel255"})), "full scale"),
        (with("norm", json!("l2")), "linf"),
        (with("format_version", json!(2)), "version 2"),
        (holding(&[("perturbation", wave()), ("weights", wave())]), "one tensor"),
        (holding(&[("delta", wave())]), "one tensor"),
        (holding(&[("perturbation", wave().flatten_all().unwrap())]), "[3, h, w]"),
        (holding(&[("perturbation", tensor((1, 5, 7), |_| 0.))]), "[3, h, w]"),
        (holding(&[("perturbation", tensor((3, 1, 1025), |_| 0.))]), "1 to 1024"),
        (holding(&[("perturbation", tensor((3, 5, 7), |i| if i == 9 { f32::NAN } else { 0. }))]), "not finite"),
        (holding(&[("perturbation", tensor((3, 5, 7), |i| if i == 9 { f32::INFINITY } else { 0. }))]), "not finite"),
        (holding(&[("perturbation", wave().to_dtype(candle_core::DType::F64).unwrap())]), "f32"),
    ] {
        let error = UniversalPerturbation::from_bytes(&bytes).unwrap_err().to_string();
        assert!(error.contains(reason), "{reason}: {error}");
        assert!(error.starts_with("not a usable universal perturbation") && error.contains("segprobe universal"));
    }
    UniversalPerturbation::from_bytes(&good).unwrap();
}
