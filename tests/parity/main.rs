//! Parity with PyTorch: what Segprobe computes against what transformers computes with the same files.

mod comparison;
mod preprocessing;
mod text;

use std::path::{Path, PathBuf};

use comparison::{Reference, all, page};

/// A folder of `tests/fixtures/parity`.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

/// Every row of a checkpoint is within its tolerance, and there are as many as the fixture is known to give: a
/// comparison that is left out must not look like success.
fn assert_parity(name: &str, expected_rows: usize) {
    let (reference, rows) = all(&fixture(name)).expect("a readable fixture");
    assert!(rows.iter().all(|row| row.within()), "{}", page::section(&reference, &rows));
    assert_eq!(rows.len(), expected_rows);
}

#[test]
fn complex_upsampling_resized_positions_and_every_adapter() {
    assert_parity("tiny", 63);
}

#[test]
fn simple_upsampling_from_a_pickled_file() {
    assert_parity("tiny-simple", 32);
}

#[test]
fn the_page_is_of_the_same_references() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/parity.md");
    let page = std::fs::read_to_string(page).expect("docs/parity.md");
    let tiny = Reference::open(&fixture("tiny")).expect("a readable fixture");
    assert!(page.starts_with(&page::introduction(&tiny)), "rewrite docs/parity.md with tests/oracle/parity.sh");
}
