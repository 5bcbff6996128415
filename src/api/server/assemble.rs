//! Puts the parts of the service together.

use std::sync::Arc;

use anyhow::Result;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::config::Config;
use crate::telemetry::Metrics;

/// Opens the store, loads the models and starts the workers.
pub(super) async fn assemble(_config: Arc<Config>, _metrics: Metrics, _stop: CancellationToken) -> Result<Parts> {
    todo!("store, artifacts, hosts, workers and routes")
}
