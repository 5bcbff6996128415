//! Compares checkpoints with their PyTorch references and writes the page that says so.
//!
//! ```text
//! cargo run --release --example parity -- REFERENCE_FOLDER... > docs/parity.md
//! ```
//! `tests/oracle/parity.sh` makes the references and runs it.

#[path = "../tests/parity/comparison/mod.rs"]
mod comparison;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use comparison::{Reference, Row, all};

fn main() -> Result<ExitCode> {
    let folders: Vec<_> = std::env::args_os().skip(1).collect();
    let mut reports = vec![];
    for folder in &folders {
        let folder = Path::new(folder);
        eprintln!("comparing {}", folder.display());
        reports.push(all(folder).with_context(|| format!("compare {}", folder.display()))?);
    }
    let (first, _) = reports.first().context("name one reference folder or more")?;
    print_introduction(first);
    for (reference, rows) in &reports {
        print_report(reference, rows);
    }
    let outside = reports.iter().flat_map(|(_, rows)| rows).filter(|row| !row.within()).count();
    if outside > 0 {
        eprintln!("{outside} quantities are outside their tolerance");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn print_introduction(reference: &Reference) {
    let versions = &reference.description;
    println!(
        "\
# Parity with PyTorch

Written by `tests/oracle/parity.sh`; do not edit. The reference is `CLIPSegForImageSegmentation` of transformers {} on
PyTorch {}, in float64 (the truth) and in float32 (what is normal for that precision). Segprobe ran on the CPU, in
float32 unless a row says float64. An error is the 2-norm of the difference over the 2-norm of the truth, all values of
a quantity together; shares say how many values differ. Weights are seeded random numbers in the published architecture:
`tiny` and `tiny-simple` are the fixtures of the test-suite, `full` has the geometry of `clipseg-rd64-refined` and
`full-simple` that of `clipseg-rd64`, both with CLIP's own vocabulary. Adapters are VLSM adapters (arXiv 2405.06196):
dense or shallow, in the vision tower (v), the text tower (l) and on the conditional embedding (c).

A gradient may differ by 1e-3, or by three times what PyTorch's own float32 gradient does: a unit at the kink of its
ReLU passes its gradient or not as rounding will have it, and the adapters have a million such units. The rows in
float64 leave no such excuse.

PGD is compared step by step, from the points of the reference: `sign` turns a rounding error into a whole step, so
the ends of two correct runs differ.",
        versions.transformers, versions.torch
    );
}

fn print_report(reference: &Reference, rows: &[Row]) {
    let description = &reference.description;
    println!("\n## {}\n", description.name);
    println!("{} weights.\n", description.parameters);
    println!("| quantity | Segprobe | PyTorch float32 | tolerance | |");
    println!("|---|---|---|---|---|");
    for row in rows {
        let pytorch = row.pytorch.map_or_else(String::new, number);
        let verdict = if row.within() { "ok" } else { "**outside**" };
        println!("| {} | {} | {pytorch} | {} | {verdict} |", row.quantity, number(row.error), number(row.tolerance));
    }
}

fn number(x: f64) -> String {
    if x == 0. { "0".into() } else { format!("{x:.1e}") }
}
