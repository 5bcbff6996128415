//! Attacks without a service: what `bench/service` holds the service against.
//!
//! ```text
//! echo "8 16" | cargo run --release --example bare_engine
//! ```
//! Each line of standard input is a round, `THREADS ATTACKS`: so many threads share so many attacks on one engine, PGD
//! with 40 steps on the samples in turn, and encode their files in memory. The answer is one line of JSON with the
//! `seconds` of the round, its mean `adversarial_dsc`, and the process's resident memory, `resident_mib`.

use std::io::BufRead;

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use segprobe::attack::{AttackSpec, Pgd};
use segprobe::bench::attacks;
use segprobe::engine::{Engine, EngineConfig};
use segprobe::model::Source;
use segprobe::telemetry::process::resident_bytes;

const STEPS: usize = 40;

fn main() -> Result<()> {
    let model = Source::resolve(None)?.open(None, &Device::Cpu, DType::F32)?;
    let engine = Engine::spawn(Box::new(model), EngineConfig::default())?;
    let requests = attacks::requests(&AttackSpec::Pgd(Pgd { steps: STEPS, ..Pgd::default() }))?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (threads, attacks) = line.split_once(' ').context("a round is THREADS ATTACKS")?;
        let round = attacks::round(&engine, &requests, threads.parse()?, attacks.parse()?)?;
        let resident_mib = resident_bytes().context("/proc has no VmRSS")? as f64 / 1_048_576.;
        println!(
            "{}",
            serde_json::json!({
                "seconds": round.seconds,
                "adversarial_dsc": round.adversarial_dsc,
                "resident_mib": resident_mib,
            })
        );
    }
    Ok(())
}
