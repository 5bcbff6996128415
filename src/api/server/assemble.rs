//! Puts the parts of the service together.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::vitals::RunningParts;
use crate::access::keys::KeyStore;
use crate::api::health::Operations;
use crate::api::{self, App};
use crate::artifact::Artifacts;
use crate::config::{AccessMode, Config};
use crate::jobs::store::{JobStore, SqliteStore};
use crate::jobs::{Hosts, Jobs, Workers};
use crate::telemetry::Metrics;

/// Opens the store, loads the models and starts the workers.
pub(super) async fn assemble(config: Arc<Config>, metrics: Metrics, stop: CancellationToken) -> Result<Parts> {
    let folder = &config.storage.folder;
    let store = SqliteStore::open(&folder.join(SqliteStore::FILE_NAME)).await.context("cannot open the job store")?;
    warn_without_keys(&config, &store).await?;
    let jobs = store.recover().await.context("cannot recover the jobs")?;
    if jobs > 0 {
        tracing::info!(jobs, "jobs that an earlier process left running are queued again");
    }
    let artifacts = Artifacts::open(&folder.join("artifacts")).context("cannot open the artifact store")?;
    let hosts = load(&config).await?;
    let (authority, store): (_, Arc<dyn JobStore>) = (Arc::new(store.clone()), Arc::new(store));
    let jobs = Jobs::new(store.clone(), artifacts.clone(), hosts.clone(), &config);
    let workers = Workers::start(jobs.clone(), &config, stop.clone());
    let parts = Arc::new(RunningParts { store, artifacts, hosts: hosts.clone() });
    let operations = Operations::new(parts, metrics, stop.clone());
    let app = App::new((jobs.clone(), hosts), config, operations);
    let work = async move {
        stop.cancelled().await;
        jobs.begin_shutdown();
        workers.ended().await;
    };
    Ok(Parts { routes: api::routes(app).0, authority, work: Box::pin(work) })
}

/// Loads the models on a thread that may block.
async fn load(config: &Config) -> Result<Hosts> {
    let (models, engine, began) = (config.models.clone(), (&config.engine).into(), Instant::now());
    let hosts = tokio::task::spawn_blocking(move || Hosts::open(&models, engine)).await??;
    for host in hosts.all() {
        let (model, device) = (&host.name, host.engine().device().location());
        tracing::info!(model, ?device, weights = host.description.weights_sha256, "model loaded");
    }
    tracing::info!(models = hosts.all().len(), seconds = began.elapsed().as_secs_f64(), "models loaded");
    Ok(hosts)
}

async fn warn_without_keys(config: &Config, store: &SqliteStore) -> Result<()> {
    if config.access.mode == AccessMode::Keys && KeyStore::list(store).await?.is_empty() {
        let folder = config.storage.folder.display();
        let command = format!("segprobe keys create --caller NAME --scope runner --data {folder}");
        tracing::warn!(command, "there is no API key yet, so nobody is let in: create one");
    }
    Ok(())
}
