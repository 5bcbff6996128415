//! Compiles each `.cu` file to PTX.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

const MODULES: [&str; 6] = ["attention_16", "attention_32", "attention_64", "attention_128", "layer_norm", "pointwise"];

fn main() -> cudaforge::Result<()> {
    for file in ["build.rs", "common.cuh", "attention.cuh", "attention_mma.cuh"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let sources: Vec<String> = MODULES.iter().map(|name| format!("{name}.cu")).collect();
    for source in &sources {
        println!("cargo::rerun-if-changed={source}");
    }
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let ptx = cudaforge::KernelBuilder::new().source_files(sources).arg("-std=c++17").arg("-O3").build_ptx()?;
    let constants = Path::new(&out).join("ptx.rs");
    ptx.write(&constants)?;
    let capability = cudaforge::detect_compute_cap()?.base();
    let mut constants = OpenOptions::new().append(true).open(constants)?;
    writeln!(constants, "/// Whether the kernels for tensor cores were compiled: they need compute capability 8.0.")?;
    writeln!(constants, "pub const TENSOR_CORES: bool = {};", capability >= 80)?;
    Ok(())
}
