//! What was measured, for programs and for people.

use std::fmt::{self, Write};

use serde::Serialize;

use super::attacks::{Queue, Throughput};
use super::step::Figures;
use crate::report::manifest::{Code, Machine};

/// Everything that one run measured.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The program.
    pub code: Code,
    /// The machine.
    pub machine: Machine,
    /// Name of the model.
    pub model: String,
    /// Where it came from.
    pub source: String,
    /// Most resident memory until the model was loaded.
    pub loading_peak_rss_mib: Option<f64>,
    /// 10^9 floating-point operations a second of a large matrix product in the same run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matmul_peak_gflops: Option<f64>,
    /// One for every batch size and resolution.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Figures>,
    /// One for every number of attacks at once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throughput: Vec<Throughput>,
    /// One for every length of the queue.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<Queue>,
}

impl Report {
    /// The tables that are printed.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a string takes everything");
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let Machine { device, dtype, threads, platform } = &self.machine;
        writeln!(out, "{} ({}) in {dtype} on {device}, {threads} threads, {platform}", self.model, self.source)?;
        if !self.steps.is_empty() {
            self.write_steps(out)?;
        }
        for found in &self.throughput {
            let (alone, together) = (&found.alone, &found.together);
            writeln!(
                out,
                "\nPGD-{} on the samples, {} rounds of {} attacks\n  one at a time {:8.2} attacks/s, mean DSC {:.4}\n  \
                 {:2} at once    {:8.2} attacks/s, mean DSC {:.4}: {:.2} times",
                found.steps,
                alone.len(),
                found.attacks,
                found.per_second(alone),
                alone[0].adversarial_dsc,
                found.concurrency,
                found.per_second(together),
                together[0].adversarial_dsc,
                found.ratio(),
            )?;
        }
        for (i, queue) in self.queues.iter().enumerate() {
            if i == 0 {
                writeln!(out, "\n{:>13}{:>10}{:>12}{:>12}", "FGSM queued", "workers", "ms/image", "RSS MiB")?;
            }
            let Queue { jobs, workers, seconds_per_image, rss_mib } = queue;
            writeln!(out, "{jobs:13}{workers:10}{:12.1}{}", seconds_per_image * 1e3, mebibytes(*rss_mib))?;
        }
        Ok(())
    }

    fn write_steps(&self, out: &mut String) -> fmt::Result {
        let pgd = self.steps.iter().find_map(|figures| figures.pgd).map(|pgd| format!("PGD-{} ms", pgd.steps));
        writeln!(
            out,
            "\n{:>5}{:>6}{:>12}{:>12}{:>12}{:>10}{:>10}{:>11}{:>12}",
            "batch",
            "px",
            "forward ms",
            "step ms",
            pgd.as_deref().unwrap_or("PGD ms"),
            "GFLOP",
            "GFLOP/s",
            "% of peak",
            "RSS MiB"
        )?;
        let milliseconds = |seconds: f64| format!("{:12.1}", seconds * 1e3);
        for figures in &self.steps {
            let share = self.matmul_peak_gflops.map(|peak| 100. * figures.gflops() / peak);
            writeln!(
                out,
                "{:5}{:6}{}{}{}{:10.1}{:10.1}{}{}",
                figures.batch,
                figures.resolution_px,
                milliseconds(figures.forward.median_s),
                milliseconds(figures.step.median_s),
                figures.pgd.map_or(format!("{:>12}", "-"), |pgd| milliseconds(pgd.timing.median_s)),
                figures.step_gflop,
                figures.gflops(),
                share.map_or(format!("{:>11}", "-"), |share| format!("{share:11.0}")),
                mebibytes(figures.peak_rss_mib),
            )?;
        }
        if let Some(peak) = self.matmul_peak_gflops {
            writeln!(out, "\nmedians of {} runs; a large product reached {peak:.0} GFLOP/s", self.steps[0].step.runs)?;
        }
        Ok(())
    }
}

fn mebibytes(value: Option<f64>) -> String {
    value.map_or(format!("{:>12}", "-"), |mib| format!("{mib:12.0}"))
}
