//! Puts the parts of the service together.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

use super::Parts;
use super::vitals::RunningParts;
use crate::access::Authority;
use crate::access::keys::KeyStore;
use crate::access::oidc::{Issuer, KeysAndTokens};
use crate::api::health::Operations;
use crate::api::{self, App};
use crate::artifact::Artifacts;
use crate::config::{AccessMode, Config, Role};
use crate::jobs::store::OpenedStore;
use crate::jobs::{Catalogue, Hosts, Jobs, Workers};
use crate::telemetry::Metrics;

/// Opens the store, loads the models and starts the workers, as far as the process's role asks for them.
pub(super) async fn assemble(config: Arc<Config>, metrics: Metrics, stop: CancellationToken) -> Result<Parts> {
    let (storage, role) = (&config.storage, config.server.role);
    let OpenedStore { jobs: store, keys, authority } =
        OpenedStore::open(storage).await.context("cannot open the job store")?;
    warn_without_keys(&config, &*keys).await?;
    let authority = beside_tokens(authority, &config, &stop)?;
    if !storage.is_shared() {
        let jobs = store.recover().await.context("cannot recover the jobs")?;
        if jobs > 0 {
            tracing::info!(jobs, "jobs that an earlier process left running are queued again");
        }
    }
    let artifacts = match storage.bucket() {
        Some(bucket) => Artifacts::in_bucket(&bucket),
        None => Artifacts::open(&storage.folder.join("artifacts")),
    };
    let artifacts = artifacts.context("cannot open the artifact store")?;
    let hosts = if role == Role::Api { Hosts::none() } else { load(&config).await? };
    let catalogue = if storage.is_shared() && role != Role::Worker {
        Catalogue::follow(store.clone(), hosts.clone(), stop.clone()).await.context("cannot read the models")?
    } else {
        Catalogue::of(hosts.clone())
    };
    let jobs = Jobs::new(store.clone(), artifacts.clone(), (hosts.clone(), catalogue), &config);
    let workers = Workers::start(jobs.clone(), &config, stop.clone());
    let operations = Operations::new(Arc::new(RunningParts { store, artifacts, hosts }), metrics, stop.clone());
    let app = App::new(jobs.clone(), config, operations);
    let work = async move {
        stop.cancelled().await;
        jobs.begin_shutdown();
        workers.ended().await;
    };
    let routes = if role == Role::Worker { api::worker_routes(app) } else { api::routes(app).0 };
    Ok(Parts { routes, authority, work: Box::pin(work) })
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

/// Accepts the tokens of an issuer too, if the settings name one. It is asked for its keys from now on; nothing waits
/// for the answer.
fn beside_tokens(keys: Arc<dyn Authority>, config: &Config, stop: &CancellationToken) -> Result<Arc<dyn Authority>> {
    if config.access.oidc_issuer.is_empty() {
        return Ok(keys);
    }
    let issuer = Arc::new(Issuer::new(&config.access)?);
    let (fetching, stop) = (issuer.clone(), stop.clone());
    tokio::spawn(async move { fetching.keep_fresh(stop).await });
    Ok(Arc::new(KeysAndTokens::new(keys, issuer)))
}

async fn warn_without_keys(config: &Config, keys: &dyn KeyStore) -> Result<()> {
    let asks_for_keys = config.access.mode == AccessMode::Keys && config.access.oidc_issuer.is_empty();
    if asks_for_keys && keys.list().await?.is_empty() {
        let folder = config.storage.folder.display();
        let command = format!("segprobe keys create --caller NAME --scope runner --data {folder}");
        tracing::warn!(command, "there is no API key yet, so nobody is let in: create one");
    }
    Ok(())
}
