//! The models that requests may name, whether or not this process holds them.
//!
//! A process that runs jobs offers the models it holds, and announces them in the store. One that only takes requests
//! reads the announcements: it needs neither weights nor a device, and it goes on to accept jobs while no worker is
//! there to run them.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::store::{Announcement, JobStore, StoreError};
use super::{Host, Hosts};
use crate::model::{Description, Preprocess};
use crate::report::manifest::Machine;

/// How often workers say what they hold, and others look.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// After how long without an announcement a worker counts as gone.
const FRESH: Duration = Duration::from_secs(20);

/// A model as requests see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// Its name in requests.
    pub name: String,
    /// What it is.
    pub description: Description,
    /// SHA-256 of its adapters, if it has any.
    pub adapter_sha256: Option<String>,
    /// How an image becomes its input.
    pub input: Preprocess,
    /// Where it works: `cpu`, `cuda:0`, ...
    pub device: String,
    /// Whether it answers now.
    pub ready: bool,
    /// Mean seconds between two answers to whoever asks; `None` before the first.
    pub step_seconds: Option<f64>,
    /// Where its process takes questions from other processes.
    pub address: Option<String>,
}

impl Offered {
    fn of(host: &Host, address: Option<&str>) -> Self {
        let engine = host.engine();
        Self {
            name: host.name.clone(),
            description: host.description.clone(),
            adapter_sha256: host.identity.adapter_sha256.clone(),
            input: engine.input().clone(),
            device: Machine::this(engine.device(), engine.precision()).device,
            ready: host.failure().is_none(),
            step_seconds: host.step_seconds(),
            address: address.map(Into::into),
        }
    }
}

/// All models that requests may name; clones are the same.
#[derive(Debug, Clone)]
pub struct Catalogue {
    held: Hosts,
    /// Those that workers have announced, as far as anybody follows them.
    announced: Arc<RwLock<Vec<Arc<Offered>>>>,
}

impl Catalogue {
    /// The models of this process and no others.
    pub fn of(held: Hosts) -> Self {
        Self { held, announced: Arc::default() }
    }

    /// The models of this process and those that others have announced, followed until the shutdown.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn follow(
        store: Arc<dyn JobStore>,
        held: Hosts,
        shutdown: CancellationToken,
    ) -> Result<Self, StoreError> {
        let catalogue = Self { held, announced: Arc::new(RwLock::new(announced(&*store).await?)) };
        let models = catalogue.announced.clone();
        tokio::spawn(async move {
            while shutdown.run_until_cancelled(tokio::time::sleep(ANNOUNCE_EVERY)).await.is_some() {
                match announced(&*store).await {
                    Ok(found) => *models.write().unwrap_or_else(PoisonError::into_inner) = found,
                    Err(error) => tracing::warn!(%error, "the models of the workers cannot be read"),
                }
            }
        });
        Ok(catalogue)
    }

    /// All of them, the default first.
    pub fn all(&self) -> Vec<Arc<Offered>> {
        let mut all: Vec<_> = self.held.all().iter().map(|host| Arc::new(Offered::of(host, None))).collect();
        all.extend(self.elsewhere().iter().filter(|model| self.held.find(Some(&model.name)).is_none()).cloned());
        all
    }

    /// The model of that name, the default one without a name.
    pub fn find(&self, name: Option<&str>) -> Option<Arc<Offered>> {
        let held = self.held.find(name).map(|host| Arc::new(Offered::of(host, None)));
        held.or_else(|| self.find_elsewhere(name))
    }

    /// [`Offered::step_seconds`] of the model of that name, which is asked for with every look at a job.
    pub(super) fn step_seconds(&self, name: &str) -> Option<f64> {
        match self.held.find(Some(name)) {
            Some(host) => host.step_seconds(),
            None => self.find_elsewhere(Some(name))?.step_seconds,
        }
    }

    fn find_elsewhere(&self, name: Option<&str>) -> Option<Arc<Offered>> {
        self.elsewhere().iter().find(|model| name.is_none_or(|name| model.name == name)).cloned()
    }

    fn elsewhere(&self) -> RwLockReadGuard<'_, Vec<Arc<Offered>>> {
        self.announced.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Announces the models of this process until the shutdown, and then that they are gone.
pub(super) async fn announce(
    store: Arc<dyn JobStore>,
    hosts: Hosts,
    (worker, address): (String, Option<String>),
    shutdown: CancellationToken,
) {
    loop {
        let stopping = shutdown.is_cancelled();
        let mut offered: Vec<Offered> = hosts.all().iter().map(|host| Offered::of(host, address.as_deref())).collect();
        offered.iter_mut().for_each(|model| model.ready &= !stopping);
        let announcements = offered.iter().enumerate().map(|(rank, model)| {
            let model_json = serde_json::to_value(model).expect("a model is plain values with text keys");
            Announcement { name: model.name.clone(), rank: rank as u32, model: model_json }
        });
        if let Err(error) = store.announce(&worker, &announcements.collect::<Vec<_>>()).await {
            tracing::warn!(%error, "the models cannot be announced");
        }
        if stopping {
            return;
        }
        let _ = shutdown.run_until_cancelled(tokio::time::sleep(ANNOUNCE_EVERY)).await;
    }
}

/// One model of each name: of the announcements of the same, the latest of a worker that answers, else the latest.
async fn announced(store: &dyn JobStore) -> Result<Vec<Arc<Offered>>, StoreError> {
    let mut models: Vec<Offered> = Vec::new();
    for (announcement, age) in store.announced().await? {
        let Ok(mut model) = serde_json::from_value::<Offered>(announcement.model) else {
            tracing::warn!(model = announcement.name, "a worker of another version announces a model: it is not shown");
            continue;
        };
        model.ready &= age < FRESH;
        match models.iter_mut().find(|known| known.name == model.name) {
            None => models.push(model),
            Some(known) if model.ready && !known.ready => *known = model,
            Some(_) => {}
        }
    }
    Ok(models.into_iter().map(Arc::new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::testing::{Service, config};

    fn elsewhere(others: Vec<Arc<Offered>>) -> Catalogue {
        Catalogue { held: Hosts::none(), announced: Arc::new(RwLock::new(others)) }
    }

    fn models(catalogue: &Catalogue) -> Vec<(String, bool)> {
        catalogue.all().iter().map(|model| (model.name.clone(), model.ready)).collect()
    }

    #[tokio::test]
    async fn what_workers_announce_is_offered_by_those_without_models() {
        let service = Service::new(config()).await;
        let store = service.jobs.shared_store();
        let shutdown = CancellationToken::new();
        let catalogue = Catalogue::follow(store.clone(), Hosts::none(), shutdown.clone()).await.unwrap();
        assert!(catalogue.all().is_empty() && catalogue.find(None).is_none());

        let worker = ("worker".to_owned(), Some("http://10.0.0.7:8080".to_owned()));
        let stopped = CancellationToken::new();
        stopped.cancel();
        let hosts = service.jobs.hosts().clone();
        tokio::time::timeout(FRESH, announce(store.clone(), hosts.clone(), worker.clone(), stopped)).await.unwrap();
        let name = hosts.all()[0].name.clone();
        let gone = elsewhere(announced(&*store).await.unwrap());
        assert_eq!(models(&gone), [(name.clone(), false)], "a worker that has left is remembered");

        let announcing = tokio::spawn(announce(store.clone(), hosts.clone(), worker, shutdown.clone()));
        let found = tokio::time::timeout(FRESH, async {
            loop {
                let found = announced(&*store).await.unwrap();
                if found[0].ready {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let found = found.await.expect("announced");
        let local = Offered::of(&hosts.all()[0], Some("http://10.0.0.7:8080"));
        assert_eq!(*found[0], local);
        let there = elsewhere(found);
        assert_eq!(there.find(Some(&name)), there.find(None));
        assert_eq!(there.find(Some("other")), None);
        shutdown.cancel();
        announcing.await.unwrap();
    }
}
