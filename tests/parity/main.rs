//! Parity with PyTorch: what Segprobe computes against what transformers computes with the same files.

mod comparison;
mod preprocessing;

use std::path::{Path, PathBuf};

use comparison::all;

/// A folder of `tests/fixtures/parity`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

/// Every row of a checkpoint is within its tolerance, and there are as many as the fixture is known to give: a
/// comparison that is left out must not look like success.
fn assert_parity(name: &str, expected_rows: usize) {
    let (_, rows) = all(&fixture(name)).expect("a readable fixture");
    let outside: Vec<_> = rows.iter().filter(|row| !row.within()).collect();
    assert!(outside.is_empty(), "{outside:#?}");
    assert_eq!(rows.len(), expected_rows);
}

#[test]
fn complex_upsampling_resized_positions_and_every_adapter() {
    assert_parity("tiny", 51);
}

#[test]
fn simple_upsampling_from_a_pickled_file() {
    assert_parity("tiny-simple", 29);
}
