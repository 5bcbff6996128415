//! Weights files that PyTorch wrote, made by `tests/oracle/make_checkpoint_fixtures.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use segprobe::model::checkpoint::{AdapterFile, Weights};
use serde::Deserialize;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoint").join(name)
}

fn take(weights: &mut Weights, name: &str, shape: &[usize]) -> Vec<f32> {
    weights.take(name, shape).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn refusal(path: &Path) -> String {
    Weights::open(path).unwrap_err().to_string()
}

#[derive(Deserialize)]
struct Expected {
    shape: Vec<usize>,
    values: Vec<f32>,
}

#[test]
fn every_kind_of_view_has_the_values_that_pytorch_gives_it() {
    let expected: BTreeMap<String, Expected> =
        serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap();
    assert_eq!(expected.len(), 16);
    for file in ["state_dict.bin", "protocol5.bin"] {
        let mut weights = Weights::open(&fixture(file)).unwrap();
        for (name, Expected { shape, values }) in &expected {
            assert_eq!(&take(&mut weights, name, shape), values, "{name} in {file}");
        }
        weights.finish().unwrap();
    }
}

#[test]
fn a_lightning_run_gives_its_state_dict_and_nothing_else() {
    let AdapterFile { mut adapters, base } = AdapterFile::open(&fixture("lightning.ckpt")).unwrap();
    assert_eq!(take(&mut adapters, "cond_adapter.fc1.weight", &[2, 2]), [1., 2., 3., 4.]);
    assert_eq!(take(&mut adapters, "text_extract_adapters.0.fc1.bias", &[1]), [0.5]);
    adapters.finish().unwrap();
    let mut base = base.unwrap();
    assert_eq!(take(&mut base, "clip.logit_scale", &[]), [2.5]);
    assert_eq!(take(&mut base, "decoder.film_mul.bias", &[2]), [1., -1.]);
    base.finish().unwrap();
}

#[test]
fn a_call_hidden_in_a_state_dict_is_named_and_not_made() {
    let error = refusal(&fixture("hostile.bin"));
    assert!(error.contains("\"weight\"") && error.contains("posix.system"), "{error}");
    assert!(!Path::new("executed-by-a-checkpoint").exists());
}

#[test]
fn the_old_format_is_refused_with_a_way_out() {
    let error = refusal(&fixture("legacy.pt"));
    assert!(error.contains("legacy.pt") && error.contains("torch.save(torch.load("), "{error}");
}

#[test]
fn views_that_reach_too_far_or_grow_too_large_are_refused() {
    let error = refusal(&fixture("outside.bin"));
    assert!(error.contains("\"weight\"") && error.contains("4 values"), "{error}");
    let error = refusal(&fixture("expanded.bin"));
    assert!(error.contains("\"weight\"") && error.contains("as large as the file"), "{error}");
}

#[test]
fn a_damaged_file_is_an_error_wherever_the_damage_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.ckpt");
    let whole = std::fs::read(fixture("lightning.ckpt")).unwrap();
    for length in (1..whole.len()).step_by(97) {
        std::fs::write(&path, &whole[..length]).unwrap();
        assert!(refusal(&path).contains("damaged.ckpt"));
    }
    // One flipped byte may hit padding; it must never panic, and never change a value unnoticed.
    for at in (0..whole.len()).step_by(11) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x55;
        std::fs::write(&path, &flipped).unwrap();
        if let Ok(mut weights) = Weights::open(&path) {
            assert_eq!(take(&mut weights, "net.cond_adapter.fc1.weight", &[2, 2]), [1., 2., 3., 4.], "byte {at}");
        }
    }
}
