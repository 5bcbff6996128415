//! Sends spans to a collector, and says when it stops and when it begins again to take them.
//!
//! The processor of batches drives its exporter on a thread of its own, without a runtime, so the HTTP client is the
//! blocking one. Nothing of the service waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as Export};
use reqwest::blocking::Client;
use reqwest::redirect::Policy;

use crate::telemetry::names;

/// How long one batch may take, with all its tries.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where spans go, and whether they were taken lately.
#[derive(Debug)]
pub(super) struct Collector {
    endpoint: String,
    failing: AtomicBool,
}

impl Collector {
    pub(super) fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.trim_end_matches('/').to_owned(), failing: AtomicBool::new(false) }
    }

    /// Whether the last batch was lost.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Takes note of what became of a batch; the log hears of changes only.
    fn note(&self, spans: usize, result: &OTelSdkResult) {
        let lost = result.is_err();
        let outcome = if lost { "lost" } else { "sent" };
        metrics::counter!(names::SPANS, "outcome" => outcome).increment(spans as u64);
        let before = self.failing.swap(lost, Ordering::Relaxed);
        match result {
            Err(error) if !before => {
                let endpoint = &self.endpoint;
                tracing::warn!(endpoint, %error, "the collector takes no spans: they are lost until it does");
            }
            Ok(()) if before => tracing::info!(endpoint = self.endpoint, "the collector takes spans again"),
            _ => {}
        }
    }
}

/// An exporter whose failures are told.
#[derive(Debug)]
pub(super) struct Watched {
    exporter: SpanExporter,
    collector: Arc<Collector>,
}

impl Watched {
    /// OTLP over HTTP to a collector's base address.
    ///
    /// # Errors
    /// An address that is none; a client that cannot be made.
    pub(super) fn new(collector: Arc<Collector>) -> Result<Self> {
        crate::tls::install();
        let client = Client::builder().timeout(PATIENCE).redirect(Policy::none()).build()?;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.endpoint))
            .with_timeout(PATIENCE)
            .build()?;
        Ok(Self { exporter, collector })
    }
}

impl Export for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let result = self.exporter.export(batch).await;
        self.collector.note(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
