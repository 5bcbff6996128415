//! Whole attacks through the engine: many at once, and many in a queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde::Serialize;

use super::sample::Sample;
use super::{BenchError, median};
use crate::attack::{AttackSpec, Budget, Epsilon, Fgsm, Norm, Pgd, Protocol, StepRecord, Unit};
use crate::engine::{CancelToken, Engine};
use crate::evaluation::{AttackRequest, Control, RunError, Threat, run_attack};
use crate::imaging::{Container, Decoded};
use crate::telemetry::process;

const EPSILON_LEVELS: f64 = 8.;

/// The same attack on every one of the program's samples, untargeted, Linf, epsilon 8/255.
///
/// # Errors
/// None for the attacks of this program.
pub fn requests(attack: &AttackSpec) -> Result<Vec<AttackRequest>, BenchError> {
    let epsilon = Epsilon::new(EPSILON_LEVELS, Unit::Pixel255).map_err(|e| RunError::Attack(e.into()))?;
    let request = |sample: Sample| AttackRequest {
        image: Decoded { image: sample.image, container: Container::Png, notes: vec![] },
        reference: Some(sample.mask),
        prompt: sample.prompt,
        attack: attack.clone(),
        threat: Threat::untargeted(Budget { norm: Norm::Linf, epsilon }),
        defence: None,
        protocol: Protocol::Default,
        loss: None,
        seed: 0,
    };
    Ok(Sample::all().into_iter().map(request).collect())
}

/// So many attacks by so many workers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Round {
    /// From the first attack's start to the last one's end.
    pub seconds: f64,
    /// Mean DSC of the adversarial files.
    pub adversarial_dsc: f64,
}

/// `attacks` requests in turn, shared by `workers` threads that each take the next when they are done with the last; their
/// files are encoded in memory, as for a job.
///
/// # Errors
/// The first attack that failed.
pub fn round(engine: &Engine, requests: &[AttackRequest], workers: usize, attacks: usize) -> Result<Round, BenchError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<f64, BenchError> {
        let mut sum = 0.;
        loop {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= attacks {
                return Ok(sum);
            }
            let control = Control { cancel: CancelToken::default(), watcher: &mut |_: &StepRecord| () };
            let run = run_attack(engine, &requests[task % requests.len()], control)?;
            std::hint::black_box(run.artifacts()?);
            sum += run.result.adversarial_file.scores.overlap.dsc;
        }
    };
    let began = Instant::now();
    let sums: Result<Vec<f64>, BenchError> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| BenchError::Panicked)?).collect()
    });
    Ok(Round { adversarial_dsc: sums?.iter().sum::<f64>() / attacks as f64, seconds: began.elapsed().as_secs_f64() })
}

/// The same attacks one at a time and several at once, in turn.
#[derive(Debug, Clone, Serialize)]
pub struct Throughput {
    /// Attacks at once.
    pub concurrency: usize,
    /// Steps of each, PGD.
    pub steps: usize,
    /// Attacks of a round.
    pub attacks: usize,
    /// Rounds with one attack at a time.
    pub alone: Vec<Round>,
    /// Rounds with several; the n-th ran right after the n-th of `alone`.
    pub together: Vec<Round>,
}

impl Throughput {
    /// Attacks per second, median over rounds.
    pub fn per_second(&self, rounds: &[Round]) -> f64 {
        median(&rounds.iter().map(|round| self.attacks as f64 / round.seconds).collect::<Vec<_>>())
    }

    /// How many times the throughput of one at a time, median over pairs of rounds.
    pub fn ratio(&self) -> f64 {
        let pairs = self.alone.iter().zip(&self.together);
        median(&pairs.map(|(alone, together)| alone.seconds / together.seconds).collect::<Vec<_>>())
    }
}

/// PGD with `steps` on the samples in turn, `rounds` times one at a time and `concurrency` at once.
///
/// # Errors
/// The first attack that failed.
pub fn throughput(engine: &Engine, concurrency: usize, steps: usize, rounds: usize) -> Result<Throughput, BenchError> {
    let requests = requests(&AttackSpec::Pgd(Pgd { steps, ..Pgd::default() }))?;
    let attacks = 2 * concurrency.max(requests.len());
    // Takes what is built at the first use.
    round(engine, &requests, concurrency, concurrency)?;
    let mut found = Throughput { concurrency, steps, attacks, alone: vec![], together: vec![] };
    for _ in 0..rounds.max(1) {
        found.alone.push(round(engine, &requests, 1, attacks)?);
        found.together.push(round(engine, &requests, concurrency, attacks)?);
    }
    Ok(found)
}

/// Short attacks in a queue before a bounded number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Queue {
    /// Attacks that wait at the start, FGSM.
    pub jobs: usize,
    /// Threads that work them off.
    pub workers: usize,
    /// Seconds of all divided by their number.
    pub seconds_per_image: f64,
    /// Resident memory at the end.
    pub rss_mib: Option<f64>,
}

/// Works off `jobs` FGSM attacks on the samples in turn.
///
/// # Errors
/// The first attack that failed.
pub fn queue(engine: &Engine, jobs: usize, workers: usize) -> Result<Queue, BenchError> {
    let requests = requests(&AttackSpec::Fgsm(Fgsm {}))?;
    round(engine, &requests, workers, workers)?;
    let done = round(engine, &requests, workers, jobs)?;
    let rss_mib = process::resident_bytes().map(|bytes| bytes as f64 / 1_048_576.);
    Ok(Queue { jobs, workers, seconds_per_image: done.seconds / jobs as f64, rss_mib })
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device};

    use super::*;
    use crate::engine::EngineConfig;
    use crate::model::Source;

    #[test]
    fn attacks_at_once_reach_what_they_reach_alone() -> Result<(), Box<dyn std::error::Error>> {
        let model = Source::Embedded.open(None, &Device::Cpu, DType::F32)?;
        let engine = Engine::spawn(Box::new(model), EngineConfig::default())?;
        let found = throughput(&engine, 4, 2, 1)?;
        assert_eq!((found.alone.len(), found.together.len(), found.attacks), (1, 1, 8));
        // sums of the same numbers in another order
        assert!((found.alone[0].adversarial_dsc - found.together[0].adversarial_dsc).abs() < 1e-9);
        assert!(found.ratio() > 0. && found.per_second(&found.alone) > 0.);
        let queued = queue(&engine, 3, 2)?;
        assert!(queued.jobs == 3 && queued.seconds_per_image > 0.);
        Ok(())
    }

    #[test]
    fn the_ratio_is_that_of_neighbouring_rounds() {
        let rounds = |seconds: [f64; 3]| seconds.map(|seconds| Round { seconds, adversarial_dsc: 0. }).to_vec();
        let (alone, together) = (rounds([2., 4., 8.]), rounds([1., 2., 2.]));
        let found = Throughput { concurrency: 8, steps: 10, attacks: 16, alone, together };
        assert_eq!((found.ratio(), found.per_second(&found.alone)), (2., 4.));
    }
}
