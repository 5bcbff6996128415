//! Compiles each `.cu` file to PTX.

use std::path::Path;

const MODULES: [&str; 6] = ["attention_16", "attention_32", "attention_64", "attention_128", "layer_norm", "pointwise"];

fn main() -> cudaforge::Result<()> {
    for file in ["build.rs", "common.cuh", "attention.cuh"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let sources: Vec<String> = MODULES.iter().map(|name| format!("{name}.cu")).collect();
    for source in &sources {
        println!("cargo::rerun-if-changed={source}");
    }
    let out = std::env::var("OUT_DIR").expect("cargo sets it");
    let ptx =
        cudaforge::KernelBuilder::new().source_files(sources).arg("-std=c++17").arg("-O3").build_ptx()?;
    ptx.write(Path::new(&out).join("ptx.rs"))
}
