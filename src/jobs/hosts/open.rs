//! From an operator's settings to a resident model.

use std::path::Path;

use anyhow::Context;

use super::Host;
use crate::config::ModelConfig;
use crate::engine::EngineConfig;
use crate::model::{Description, DeviceChoice, Precision, Source};
use crate::report::manifest::ModelIdentity;

pub(super) fn host(config: &ModelConfig, engine: EngineConfig) -> anyhow::Result<Host> {
    let name = name(config);
    load(&name, config, engine).with_context(|| format!("the model {name:?} cannot be loaded"))
}

/// The configured name, else that of its folder, else that of the demo model.
fn name(config: &ModelConfig) -> String {
    let folder = config.path.as_deref().and_then(|path| Path::new(path).file_name()?.to_str());
    config.name.as_deref().or(folder).unwrap_or("demo").to_owned()
}

fn load(name: &str, config: &ModelConfig, engine: EngineConfig) -> anyhow::Result<Host> {
    let source = Source::resolve(config.path.as_deref())?;
    let choice: DeviceChoice = config.device.as_deref().map(str::parse).transpose()?.unwrap_or_default();
    let description = Description::of(&source)?;
    let adapter = config.adapter.clone();
    let identity = ModelIdentity::new(&description.name, &source, adapter.as_deref())?;
    let precision: Precision = config.dtype.as_deref().map(str::parse).transpose()?.unwrap_or_default();
    let recompute = config.recompute.unwrap_or(false);
    let open = move || {
        let mut model = source.open_for_steps(adapter.as_deref(), &choice.open()?, precision)?;
        model.recompute_blocks(recompute);
        Ok(Box::new(model) as _)
    };
    Host::new(name.into(), (description, identity), Box::new(open), engine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_called_by_its_setting_or_its_folder() {
        let called = |name: Option<&str>, path: Option<&str>| {
            super::name(&ModelConfig {
                name: name.map(Into::into),
                path: path.map(Into::into),
                ..ModelConfig::default()
            })
        };
        assert_eq!(called(None, None), "demo");
        assert_eq!(called(None, Some("models/clipseg-polyps/")), "clipseg-polyps");
        assert_eq!(called(Some("polyps"), Some("models/clipseg-polyps")), "polyps");
    }
}
