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
use comparison::{all, page};

fn main() -> Result<ExitCode> {
    let folders: Vec<_> = std::env::args_os().skip(1).collect();
    let mut reports = vec![];
    for folder in &folders {
        let folder = Path::new(folder);
        eprintln!("comparing {}", folder.display());
        reports.push(all(folder).with_context(|| format!("compare {}", folder.display()))?);
    }
    let (first, _) = reports.first().context("name one reference folder or more")?;
    print!("{}", page::introduction(first));
    for (reference, rows) in &reports {
        print!("{}", page::section(reference, rows));
    }
    let outside = reports.iter().flat_map(|(_, rows)| rows).filter(|row| !row.within()).count();
    if outside > 0 {
        eprintln!("{outside} quantities are outside their tolerance");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
