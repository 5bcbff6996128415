//! Numbers for Prometheus: counted as things happen, or sampled when somebody asks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, anyhow};
use metrics::{counter, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::{names, process};
use crate::engine::EngineStats;

/// How often [`Metrics::keep_up`] has to be called.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// What an engine counts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    /// Calls of so many rows.
    Calls(usize),
    Halvings,
}

/// All metrics of the process. Clones are the same.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    /// What engines have counted so far, since one that is replaced begins again at 0.
    counted: Arc<Mutex<BTreeMap<(String, Counted), u64>>>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Makes this process count; to be called once.
    ///
    /// # Errors
    /// A process that counts already.
    pub fn install() -> Result<Self> {
        let (recorder, metrics) = Self::build()?;
        metrics::set_global_recorder(recorder).map_err(|error| anyhow!("cannot begin to count: {error}"))?;
        names::describe();
        Ok(metrics)
    }

    fn build() -> Result<(PrometheusRecorder, Self)> {
        let buckets = |name: &str| Matcher::Full(name.into());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(buckets(names::HTTP_SECONDS), names::HTTP_BUCKETS)?
            .set_buckets_for_metric(buckets(names::JOB_SECONDS), names::JOB_BUCKETS)?
            .set_buckets_for_metric(buckets(names::QUEUE_WAIT_SECONDS), names::JOB_BUCKETS)?
            .set_buckets_for_metric(buckets(names::STEP_SECONDS), names::STEP_BUCKETS)?
            .build_recorder();
        let handle = recorder.handle();
        Ok((recorder, Self { handle, counted: Arc::default() }))
    }

    /// Sorts new samples of histograms into their buckets; without it they pile up until somebody asks.
    pub fn keep_up(&self) {
        self.handle.run_upkeep();
    }

    /// Records how many jobs there are of each state.
    pub fn sample_queue(&self, jobs_by_state: &[(&'static str, u64)]) {
        for (state, jobs) in jobs_by_state {
            gauge!(names::QUEUE_JOBS, "state" => *state).set(*jobs as f64);
        }
    }

    /// Records what an engine does.
    pub fn sample_engine(&self, model: &str, stats: &EngineStats, healthy: bool) {
        gauge!(names::ENGINE_ROWS, "model" => model.to_owned()).set(stats.rows as f64);
        gauge!(names::ENGINE_HEALTHY, "model" => model.to_owned()).set(if healthy { 1.0 } else { 0.0 });
        for (question, calls) in &stats.calls {
            let labels = [("model", model.to_owned()), ("question", question.name().to_owned())];
            gauge!(names::ENGINE_BATCH_ROWS, &labels).set(calls.chosen_rows as f64);
            gauge!(names::ENGINE_MOST_ROWS, &labels).set(calls.most_rows as f64);
            for (rows, seconds) in &calls.seconds_by_rows {
                let [model, question] = labels.clone();
                gauge!(names::ENGINE_CALL_SECONDS, &[model, question, ("rows", rows.to_string())]).set(*seconds);
            }
        }
        for (&rows, &calls) in &stats.batches_by_rows {
            let more = self.more(model, Counted::Calls(rows), calls);
            counter!(names::ENGINE_BATCHES, "model" => model.to_owned(), "rows" => rows.to_string()).increment(more);
        }
        let more = self.more(model, Counted::Halvings, stats.halvings);
        counter!(names::ENGINE_HALVINGS, "model" => model.to_owned()).increment(more);
    }

    /// How much more there is of something than when it was last looked at.
    fn more(&self, model: &str, what: Counted, now: u64) -> u64 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = counted.insert((model.to_owned(), what), now).unwrap_or(0);
        now.checked_sub(before).unwrap_or(now)
    }

    /// Everything, in the text format of Prometheus.
    pub fn render(&self) -> String {
        if let Some(bytes) = process::resident_bytes() {
            gauge!(names::MEMORY_BYTES).set(bytes as f64);
        }
        self.handle.render()
    }
}

#[cfg(test)]
impl Metrics {
    /// For a test: what `work` counts, without a recorder for the whole process.
    pub(crate) fn of<T>(work: impl FnOnce(&Self) -> T) -> (Self, T) {
        let (recorder, metrics) = Self::build().unwrap();
        let result = metrics::with_local_recorder(&recorder, || {
            names::describe();
            work(&metrics)
        });
        (metrics, result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Calls;
    use crate::model::Question;

    fn stats(batches: &[(usize, u64)]) -> EngineStats {
        EngineStats { batches_by_rows: batches.iter().copied().collect(), rows: 2, ..EngineStats::default() }
    }

    #[test]
    fn calls_of_a_replaced_engine_are_counted_on() {
        let (_, text) = Metrics::of(|metrics| {
            for sample in [&[(8, 3)][..], &[(8, 5)], &[(8, 1), (4, 2)]] {
                metrics.sample_engine("demo", &stats(sample), true);
            }
            metrics.render()
        });
        assert!(text.contains("segprobe_engine_batches_total{model=\"demo\",rows=\"8\"} 6\n"), "{text}");
        assert!(text.contains("segprobe_engine_batches_total{model=\"demo\",rows=\"4\"} 2\n"), "{text}");
        assert!(text.contains("segprobe_engine_rows{model=\"demo\"} 2\n"), "{text}");
        assert!(text.contains("segprobe_engine_healthy{model=\"demo\"} 1\n"), "{text}");
    }

    #[test]
    fn what_an_engine_has_learnt_is_shown() {
        let (_, text) = Metrics::of(|metrics| {
            let calls = Calls { chosen_rows: 4, most_rows: 64, seconds_by_rows: BTreeMap::from([(4, 0.25)]) };
            let stats = EngineStats { halvings: 2, calls: [(Question::Gradient, calls)].into(), ..stats(&[]) };
            metrics.sample_engine("demo", &stats, true);
            metrics.render()
        });
        for line in [
            "segprobe_engine_batch_rows{model=\"demo\",question=\"gradient\"} 4\n",
            "segprobe_engine_most_rows{model=\"demo\",question=\"gradient\"} 64\n",
            "segprobe_engine_call_seconds{model=\"demo\",question=\"gradient\",rows=\"4\"} 0.25\n",
            "segprobe_engine_halvings_total{model=\"demo\"} 2\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn histograms_have_buckets_and_names_are_described() {
        let (_, text) = Metrics::of(|metrics| {
            metrics::histogram!(names::STEP_SECONDS).record(0.03);
            metrics.sample_queue(&[("queued", 7)]);
            metrics.render()
        });
        assert!(text.contains("segprobe_step_seconds_bucket{le=\"0.05\"} 1\n"), "{text}");
        assert!(text.contains("segprobe_queue_jobs{state=\"queued\"} 7\n"), "{text}");
        assert!(text.contains("# HELP segprobe_queue_jobs Jobs in the store by state\n"), "{text}");
    }
}
