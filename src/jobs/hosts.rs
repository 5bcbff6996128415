//! The models that stay resident, each with its engine.
//!
//! A model that panics ends its engine, not the service: its host opens it anew (`Host::revive`), and until
//! then no job of that model is begun.

mod open;
mod pace;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::config::ModelConfig;
use crate::engine::{Engine, EngineConfig};
use crate::model::{Description, SegmentationModel};
use crate::report::manifest::ModelIdentity;

pub use pace::Pace;

/// Reads a model from its files; called again after a failure.
pub type Open = dyn Fn() -> anyhow::Result<Box<dyn SegmentationModel>> + Send + Sync;

/// How long to wait after the first attempt to revive that failed; doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A resident model.
pub struct Host {
    /// Its name in requests.
    pub name: String,
    /// What it is.
    pub description: Description,
    /// What a manifest records of it.
    pub identity: ModelIdentity,
    /// How fast it answers.
    pub pace: Pace,
    open: Box<Open>,
    config: EngineConfig,
    service: Mutex<Service>,
}

/// The engine of now, and what became of earlier ones.
struct Service {
    engine: Engine,
    /// Why the engine is not to be used, although it does not say so itself.
    given_up: Option<String>,
    failed_revivals: u32,
    not_before: Instant,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("name", &self.name).field("failure", &self.failure()).finish_non_exhaustive()
    }
}

impl Host {
    /// Opens a model for the first time.
    ///
    /// # Errors
    /// What `open` fails with; no thread for the engine.
    pub fn new(
        name: String,
        (description, identity): (Description, ModelIdentity),
        open: Box<Open>,
        config: EngineConfig,
    ) -> anyhow::Result<Self> {
        let engine = Engine::spawn(open()?, config)?;
        let service = Service { engine, given_up: None, failed_revivals: 0, not_before: Instant::now() };
        Ok(Self { name, description, identity, pace: Pace::default(), open, config, service: Mutex::new(service) })
    }

    /// The engine that runs now. One that failed is replaced by a new one, so ask each time.
    pub fn engine(&self) -> Engine {
        self.service().engine.clone()
    }

    /// Mean seconds between two answers of the model to whoever asks, measured; `None` before the first.
    pub fn step_seconds(&self) -> Option<f64> {
        self.pace.seconds()
    }

    /// Why the model answers nothing now; `None` while it is healthy.
    pub fn failure(&self) -> Option<String> {
        let service = self.service();
        service.given_up.clone().or_else(|| service.engine.failure().map(str::to_owned))
    }

    /// Uses the present engine no more, because its device does not answer.
    pub(super) fn give_up(&self, why: &str) {
        tracing::error!(model = %self.name, why, "the engine is given up");
        self.service().given_up = Some(why.into());
    }

    /// Opens the model anew if it has failed, at most once in a while. Blocks while it is read.
    fn revive(&self) {
        let Some(failure) = self.failure() else { return };
        if Instant::now() < self.service().not_before {
            return;
        }
        tracing::warn!(model = %self.name, failure, "the model is opened anew");
        let opened = (self.open)().and_then(|model| Ok(Engine::spawn(model, self.config)?));
        let mut service = self.service();
        match opened {
            Ok(engine) => {
                *service = Service { engine, given_up: None, failed_revivals: 0, not_before: Instant::now() };
            }
            Err(error) => {
                let pause = FIRST_PAUSE.saturating_mul(1 << service.failed_revivals.min(16)).min(LONGEST_PAUSE);
                tracing::error!(model = %self.name, error = format!("{error:#}"), ?pause, "the model cannot be opened");
                service.failed_revivals += 1;
                service.not_before = Instant::now() + pause;
            }
        }
    }

    /// No invariant spans the lock, so a panic elsewhere leaves the value usable.
    fn service(&self) -> MutexGuard<'_, Service> {
        self.service.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All resident models; the first is the default. Clones are the same.
#[derive(Debug, Clone)]
pub struct Hosts(Arc<Vec<Arc<Host>>>);

impl Hosts {
    /// Loads the models, the demo model if there are none.
    ///
    /// # Errors
    /// A model that cannot be loaded, or two of one name.
    pub fn open(models: &[ModelConfig], engine: EngineConfig) -> anyhow::Result<Self> {
        let demo = [ModelConfig::default()];
        let models = if models.is_empty() { &demo } else { models };
        Self::new(models.iter().map(|model| open::host(model, engine)).collect::<anyhow::Result<_>>()?)
    }

    /// These models, the default first.
    ///
    /// # Errors
    /// No model, or two of one name.
    pub fn new(hosts: Vec<Host>) -> anyhow::Result<Self> {
        anyhow::ensure!(!hosts.is_empty(), "a service needs at least one model");
        for (at, host) in hosts.iter().enumerate() {
            let taken = hosts[..at].iter().any(|other| other.name == host.name);
            anyhow::ensure!(!taken, "two models are called {:?}: give one of them another `name`", host.name);
        }
        Ok(Self(Arc::new(hosts.into_iter().map(Arc::new).collect())))
    }

    /// None: for a process that runs no jobs.
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// All of them, the default first.
    pub fn all(&self) -> &[Arc<Host>] {
        &self.0
    }

    /// The model of that name, the default one without a name.
    pub fn find(&self, name: Option<&str>) -> Option<&Arc<Host>> {
        match name {
            None => self.0.first(),
            Some(name) => self.0.iter().find(|host| host.name == name),
        }
    }

    /// The names of those that answer now.
    pub(super) fn healthy(&self) -> Vec<String> {
        self.0.iter().filter(|host| host.failure().is_none()).map(|host| host.name.clone()).collect()
    }
}

/// Revives models that have failed, until the shutdown.
pub(super) async fn keep_alive(hosts: Hosts, shutdown: CancellationToken) {
    while shutdown.run_until_cancelled(tokio::time::sleep(FIRST_PAUSE)).await.is_some() {
        for host in hosts.all().iter().filter(|host| host.failure().is_some()) {
            let host = host.clone();
            // A device that hangs may hold this up for ever, but not the shutdown; a panic is tried again.
            let _ = shutdown.run_until_cancelled(spawn_blocking(move || host.revive())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_configuration_there_is_the_demo_model() {
        let hosts = Hosts::open(&[], EngineConfig::default()).unwrap();
        let demo = hosts.find(None).unwrap();
        assert_eq!((demo.name.as_str(), demo.step_seconds(), demo.failure()), ("demo", None, None));
        assert_eq!(demo.identity.weights_sha256, demo.description.weights_sha256);
        assert!(hosts.find(Some("other")).is_none());
        assert_eq!(hosts.healthy(), ["demo"]);
    }

    #[test]
    fn two_models_of_one_name_are_refused() {
        let message = Hosts::open(&[ModelConfig::default(), ModelConfig::default()], EngineConfig::default())
            .unwrap_err()
            .to_string();
        assert!(message.contains("\"demo\"") && message.contains("another `name`"), "{message}");
        let absent = ModelConfig { path: Some("absent".into()), ..ModelConfig::default() };
        assert!(Hosts::open(&[absent], EngineConfig::default()).unwrap_err().to_string().contains("absent"));
    }
}
