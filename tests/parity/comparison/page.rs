//! Comparisons as the page `docs/parity.md`.

use super::{Reference, Row};

/// What was compared with what, and how to read the tables.
pub fn introduction(reference: &Reference) -> String {
    let versions = &reference.description;
    format!(
        "\
# Parity with PyTorch

Written by `tests/oracle/parity.sh`; do not edit. The reference is `CLIPSegForImageSegmentation` of transformers {} on
PyTorch {}, in float64 (the truth) and in float32 (what is normal for that precision). Segprobe ran on the CPU, in
float32 unless a row says float64. An error is the 2-norm of the difference over the 2-norm of the truth, all values of
a quantity together; shares say how many values differ. Weights are seeded random numbers in the published architecture:
`tiny` and `tiny-simple` are the fixtures of the test-suite, `full` has the geometry of `clipseg-rd64-refined` and
`full-simple` that of `clipseg-rd64`, both with CLIP's own vocabulary. Adapters are VLSM adapters (arXiv 2405.06196):
dense or shallow, in the vision tower (v), the text tower (l) and on the conditional embedding (c).

PGD is compared step by step, from the points of the reference: `sign` turns a rounding error into a whole step, so
the ends of two correct runs differ.
",
        versions.transformers, versions.torch
    )
}

/// The table of one checkpoint.
pub fn section(reference: &Reference, rows: &[Row]) -> String {
    let description = &reference.description;
    let mut out = format!("\n## {}\n\n{} weights.\n\n", description.name, description.parameters);
    out.push_str("| quantity | Segprobe | PyTorch float32 | tolerance | |\n|---|---|---|---|---|\n");
    for row in rows {
        let pytorch = row.pytorch.map_or_else(String::new, number);
        let verdict = if row.within() { "ok" } else { "**outside**" };
        let (error, tolerance) = (number(row.error), number(row.tolerance));
        out.push_str(&format!("| {} | {error} | {pytorch} | {tolerance} | {verdict} |\n", row.quantity));
    }
    out
}

fn number(x: f64) -> String {
    if x == 0. { "0".into() } else { format!("{x:.1e}") }
}
