//! Puts the parts of the service together.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::access::keys::{KeyError, KeyStore};
use crate::access::{Admission, Authority, Refusal};
use crate::api::health::{EngineVitals, Operations, Vitals};
use crate::api::{App, routes};
use crate::artifact::Artifacts;
use crate::config::{AccessMode, Config};
use crate::jobs::store::{Counts, JobStore, SqliteStore};
use crate::jobs::{Host, Hosts, Jobs, Workers};
use crate::telemetry::Metrics;

/// Opens the store, loads the models and starts the workers.
pub(super) async fn assemble(config: Arc<Config>, metrics: Metrics, stop: CancellationToken) -> Result<Parts> {
    let folder = &config.storage.folder;
    let store = Arc::new(SqliteStore::open(&folder.join(SqliteStore::FILE_NAME)).await?);
    let artifacts = Artifacts::open(&folder.join("artifacts")).context("storage.folder: cannot keep files there")?;
    // The folder is locked, so whoever held these leases is gone.
    let recovered = store.recover().await.context("cannot take back the jobs of the process before")?;
    if recovered > 0 {
        tracing::warn!(jobs = recovered, "jobs of a process that ended without notice are taken back");
    }
    if config.access.mode == AccessMode::Keys && KeyStore::list(&*store).await?.is_empty() {
        tracing::warn!("there is no API key yet: make one with `segprobe keys create --caller NAME --scope runner`");
    }
    let hosts = load(&config).await?;
    let jobs = Jobs::new(store.clone(), artifacts.clone(), hosts.clone(), &config);
    let workers = Workers::start(jobs.clone(), &config, stop.clone());
    let vitals = Arc::new(Organs { store: store.clone(), artifacts, hosts: hosts.clone() });
    let operations = Operations::new(vitals, metrics, stop.clone());
    let (routes, _) = routes(App::new((jobs.clone(), hosts), config, operations));
    let work = Box::pin(async move {
        stop.cancelled().await;
        jobs.begin_shutdown();
        workers.ended().await;
    });
    Ok(Parts { routes, authority: Arc::new(Keys(store)), work })
}

async fn load(config: &Arc<Config>) -> Result<Hosts> {
    let began = Instant::now();
    let settings = config.clone();
    let hosts = tokio::task::spawn_blocking(move || Hosts::open(&settings.models)).await??;
    for host in hosts.all() {
        let weights = &host.identity.weights_sha256[..12];
        tracing::info!(model = %host.name, weights, seconds = began.elapsed().as_secs_f32(), "the model is loaded");
    }
    Ok(hosts)
}

/// Keys of the store, as the guard asks for them.
#[derive(Debug)]
struct Keys(Arc<SqliteStore>);

#[async_trait]
impl Authority for Keys {
    async fn admit(&self, key: &str) -> Result<Admission, Refusal> {
        match self.0.verify(key).await {
            Ok(key) => Ok(Admission { principal: key.principal(), requests_per_minute: key.requests_per_minute }),
            Err(KeyError::Store(error)) => Err(Refusal::Unavailable(error.to_string())),
            Err(error) => {
                tracing::info!(%error, "a key is refused");
                Err(Refusal::Invalid)
            }
        }
    }
}

/// What readiness and metrics look at.
#[derive(Debug)]
struct Organs {
    store: Arc<SqliteStore>,
    artifacts: Artifacts,
    hosts: Hosts,
}

#[async_trait]
impl Vitals for Organs {
    async fn store(&self) -> Result<(), String> {
        self.store.ping().await.map_err(|error| error.to_string())
    }

    async fn artifacts(&self) -> Result<(), String> {
        self.artifacts.ping().await.map_err(|error| error.to_string())
    }

    async fn counts(&self) -> Result<Counts, String> {
        self.store.counts().await.map_err(|error| error.to_string())
    }

    fn engines(&self) -> Vec<EngineVitals> {
        let vitals = |host: &Arc<Host>| EngineVitals {
            model: host.name.clone(),
            stats: host.engine().stats(),
            failure: host.failure(),
        };
        self.hosts.all().iter().map(vitals).collect()
    }
}
