//! Traces: what one request caused, from its arrival to the last file of its job, as spans for an OpenTelemetry
//! collector.
//!
//! A span of a trace is a `tracing` span with the target [`TARGET`]. The log never sees these, and the exporter sees no
//! others, so that neither has to bend to the other. While no collector is configured nobody asks for them: making
//! one is then a look at a flag, there is no thread and no memory.
//!
//! A job carries its [`TraceContext`] in its row, since the worker that runs it may be another process, or the next one
//! after a crash.

mod context;
mod export;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchSpanProcessor, Sampler, SdkTracerProvider};
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::registry::LookupSpan;
use uuid::Uuid;

use crate::config::{Config, TelemetryConfig};
use export::{Collector, Watched};

pub use context::{TraceContext, tell, trace_id};

/// The target of the spans that are exported.
pub const TARGET: &str = "segprobe::traces";

/// How long the end of the process may wait for a collector that took spans before.
const LAST_EXPORT: Duration = Duration::from_secs(2);
/// The same for one that did not.
const LAST_TRY: Duration = Duration::from_millis(100);

/// The exporter of this process. Spans wait in a bounded queue; what finds no room in it is dropped.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    collector: Arc<Collector>,
}

impl Traces {
    /// Starts the exporter's thread if the settings name a collector. Call it outside of a runtime: the exporter has
    /// its own.
    ///
    /// # Errors
    /// An address that cannot be used. Whether anybody answers there does not matter.
    pub fn start(config: &Config) -> Result<Option<Self>> {
        let telemetry = &config.telemetry;
        if telemetry.otlp_endpoint.is_empty() {
            return Ok(None);
        }
        let collector = Arc::new(Collector::new(&telemetry.otlp_endpoint));
        let exporter = Watched::new(collector.clone()).context("telemetry.otlp_endpoint cannot be used")?;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(telemetry.sample_ratio))))
            .with_resource(resource(config))
            .build();
        opentelemetry::global::set_tracer_provider(provider.clone());
        Ok(Some(Self { provider, collector }))
    }

    /// What takes the spans from `tracing`.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        tracing_opentelemetry::layer::<S>()
            .with_tracer(self.provider.tracer(env!("CARGO_PKG_NAME")))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(TARGET, LevelFilter::INFO))
    }

    /// Sends the last spans, for a short time: the end of the process never hangs on a collector.
    pub fn stop(self) {
        let patience = if self.collector.is_failing() { LAST_TRY } else { LAST_EXPORT };
        if let Err(error) = self.provider.shutdown_with_timeout(patience) {
            tracing::warn!(%error, "the last spans may be lost");
        }
    }
}

/// Who sends the spans. `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource(config: &Config) -> Resource {
    let TelemetryConfig { service_name, .. } = &config.telemetry;
    Resource::builder()
        .with_service_name(service_name.clone())
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", Uuid::now_v7().to_string()),
            KeyValue::new("segprobe.role", config.server.role.name()),
        ])
        .build()
}
