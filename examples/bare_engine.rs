//! Attacks without a service: what `bench/service` holds the service against.
//!
//! ```text
//! echo "8 16" | cargo run --release --example bare_engine
//! ```
//! Each line of standard input is a round, `THREADS ATTACKS`: so many threads share so many attacks on one engine, PGD
//! with 40 steps on the samples in turn, and encode their files in memory. The answer is one line of JSON with the
//! `seconds` of the round, its mean `adversarial_dsc`, and the process's resident memory, `resident_mib`.

use std::io::BufRead;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use candle_core::{DType, Device};
use segprobe::attack::{AttackSpec, Budget, Epsilon, Norm, Pgd, Protocol, Unit};
use segprobe::engine::{CancelToken, Engine, EngineConfig};
use segprobe::evaluation::{AttackRequest, Control, Threat, run_attack};
use segprobe::imaging::{Limits, decode};
use segprobe::model::Source;

const SAMPLES: [&str; 4] = ["fetal-head", "lungs", "polyp", "skin-lesion"];
const STEPS: usize = 40;
const EPSILON_LEVELS: f64 = 8.;

fn main() -> Result<()> {
    let model = Source::resolve(None)?.open(None, &Device::Cpu, DType::F32)?;
    let engine = Engine::spawn(Box::new(model), EngineConfig::default())?;
    let requests = SAMPLES.iter().map(|name| request(name)).collect::<Result<Vec<_>>>()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (threads, attacks) = line.split_once(' ').context("a round is THREADS ATTACKS")?;
        let (threads, attacks) = (threads.parse()?, attacks.parse()?);
        let began = Instant::now();
        let adversarial_dsc = round(&engine, &requests, threads, attacks)?;
        println!(
            "{}",
            serde_json::json!({
                "seconds": began.elapsed().as_secs_f64(),
                "adversarial_dsc": adversarial_dsc,
                "resident_mib": resident_mib()?,
            })
        );
    }
    Ok(())
}

fn request(name: &str) -> Result<AttackRequest> {
    let read = |kind: &str| std::fs::read(format!("samples/{kind}/{name}.png")).context("run it in the repository");
    Ok(AttackRequest {
        image: decode::decode(&read("images")?, &Limits::default())?,
        reference: Some(decode::decode_mask(&read("masks")?, &Limits::default())?),
        prompt: name.replace('-', " "),
        attack: AttackSpec::Pgd(Pgd { steps: STEPS, ..Pgd::default() }),
        threat: Threat::untargeted(Budget { norm: Norm::Linf, epsilon: Epsilon::new(EPSILON_LEVELS, Unit::Pixel255)? }),
        protocol: Protocol::Default,
        loss: None,
        seed: 0,
    })
}

/// Runs the attacks and answers their mean adversarial DSC.
fn round(engine: &Engine, requests: &[AttackRequest], threads: usize, attacks: usize) -> Result<f64> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<f64> {
        let mut sum = 0.;
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= attacks {
                return Ok(sum);
            }
            sum += attack(engine, &requests[task % requests.len()])?;
        }
    };
    let sums: Result<Vec<f64>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| anyhow!("an attack panicked"))?).collect()
    });
    Ok(sums?.iter().sum::<f64>() / attacks as f64)
}

fn attack(engine: &Engine, request: &AttackRequest) -> Result<f64> {
    let control = Control { cancel: CancelToken::default(), progress: &mut |_| () };
    let run = run_attack(engine, request, control)?;
    std::hint::black_box(run.artifacts()?);
    Ok(run.result.adversarial_file.scores.overlap.dsc)
}

/// Memory of this process that is in RAM now (Linux).
fn resident_mib() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("/proc has no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.)
}
