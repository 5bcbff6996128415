//! The models that stay resident, each with its engine.

use std::sync::Arc;

use crate::config::ModelConfig;
use crate::engine::Engine;
use crate::model::Description;
use crate::report::manifest::ModelIdentity;

/// A resident model.
#[derive(Debug)]
pub struct Host {
    /// Its name in requests.
    pub name: String,
    /// What it is.
    pub description: Description,
    /// What a manifest records of it.
    pub identity: ModelIdentity,
}

impl Host {
    /// The engine that runs now. One that failed is replaced by a new one, so ask each time.
    pub fn engine(&self) -> Engine {
        todo!("H3")
    }
    /// Why the model answers nothing now; `None` while it is healthy.
    pub fn failure(&self) -> Option<String> {
        todo!("H3")
    }
    /// Mean seconds between two answers of the model to whoever asks, measured; `None` before the first.
    pub fn step_seconds(&self) -> Option<f64> {
        todo!("H3")
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
    pub fn open(_models: &[ModelConfig]) -> anyhow::Result<Self> {
        todo!("H3")
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
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self(Arc::default())
    }
}
