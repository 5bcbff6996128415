//! The flag that names further models, which only see what an attack has made.

use anyhow::{Context, Result, bail};
use clap::Args;

use super::model_args::ModelArgs;
use crate::engine::{Engine, EngineConfig};
use crate::report::manifest::ModelIdentity;

/// Other models.
#[derive(Debug, Clone, Default, Args)]
pub struct TransferArgs {
    /// Another model folder, or `demo`, that finished attacks are shown to; may be given several times.
    #[arg(long, value_name = "DIR")]
    transfer_to: Vec<String>,
}

/// Other models, opened.
pub struct Others {
    /// Each with its name.
    pub engines: Vec<(String, Engine)>,
    /// What a manifest records of them.
    pub identities: Vec<ModelIdentity>,
}

/// The name that stands for the model in the binary.
const DEMO: &str = "demo";

impl TransferArgs {
    /// Opens the models on the device of the attacked one.
    ///
    /// # Errors
    /// A model that cannot be used, or two of one name.
    pub fn open(&self, attacked: &ModelArgs) -> Result<Others> {
        let (mut engines, mut identities) = (Vec::<(String, Engine)>::new(), vec![]);
        for folder in &self.transfer_to {
            let model = (folder != DEMO).then(|| folder.clone());
            let args = ModelArgs { model, adapter: None, ..attacked.clone() };
            let (model, source) = args.open().with_context(|| format!("--transfer-to {folder}"))?;
            let engine = Engine::spawn(Box::new(model), EngineConfig::default())?;
            let name = engine.name().to_owned();
            if engines.iter().any(|(other, _)| *other == name) {
                bail!("--transfer-to {folder}: another model is called {name:?} too: rename one of the folders");
            }
            identities.push(ModelIdentity::new(&name, &source, None)?);
            engines.push((name, engine));
        }
        Ok(Others { engines, identities })
    }
}
