//! How the parts of the running service are.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::health::{EngineVitals, Vitals};
use crate::artifact::Artifacts;
use crate::jobs::Hosts;
use crate::jobs::store::{Counts, JobStore};

/// The parts themselves.
#[derive(Debug)]
pub(super) struct RunningParts {
    pub store: Arc<dyn JobStore>,
    pub artifacts: Artifacts,
    pub hosts: Hosts,
}

#[async_trait]
impl Vitals for RunningParts {
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
        let vitals = |host: &Arc<crate::jobs::Host>| EngineVitals {
            model: host.name.clone(),
            stats: host.engine().stats(),
            failure: host.failure(),
        };
        self.hosts.all().iter().map(vitals).collect()
    }
}
