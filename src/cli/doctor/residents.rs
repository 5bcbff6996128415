//! The models that the service holds, and their devices: are they there? None is loaded, since the service beside us may
//! have the memory; `segprobe doctor --model DIR` does that.

use anyhow::{Context, Result};

use super::report::Finding::{self, Fail, Fine};
use crate::config::{Config, ModelConfig, Role};
use crate::model::{DeviceChoice, Source};

/// Looks for each model of the settings.
pub(super) fn examine(config: &Config) -> Vec<(&'static str, Finding)> {
    if config.server.role == Role::Api {
        return vec![("models", Fine("a process of role api holds none".into()))];
    }
    let demo = [ModelConfig::default()];
    let models = if config.models.is_empty() { &demo[..] } else { &config.models };
    models.iter().enumerate().map(|(index, model)| ("models", found(index, model))).collect()
}

fn found(index: usize, model: &ModelConfig) -> Finding {
    match look(model) {
        Ok(text) => Fine(text),
        Err(error) => Fail(format!("models[{index}]: {error:#}")),
    }
}

fn look(model: &ModelConfig) -> Result<String> {
    let source = Source::resolve(model.path.as_deref())?;
    let hash = source.weights_sha256()?;
    if let Some(adapter) = &model.adapter {
        let open = std::fs::File::open(adapter);
        open.with_context(|| format!("cannot read the adapters {}: correct models[].adapter", adapter.display()))?;
    }
    let device: DeviceChoice = model.device.as_deref().map(str::parse).transpose()?.unwrap_or_default();
    device.open()?;
    let name = model.name.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
    Ok(format!("{name}{source}, sha256 {}, on {device}", &hash[..16]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(model: ModelConfig) -> Vec<(&'static str, Finding)> {
        examine(&Config { models: vec![ModelConfig::default(), model], ..Config::default() })
    }

    #[test]
    fn models_that_are_there_are_named_with_their_device() {
        let findings = with(ModelConfig { name: Some("chest".into()), ..ModelConfig::default() });
        assert!(matches!(&findings[1].1, Fine(text) if text.starts_with("chest: ") && text.ends_with("on cpu")));
        assert_eq!(examine(&Config::default()).len(), 1, "the demo model");
    }

    #[test]
    fn what_is_missing_is_named_with_its_place_in_the_list() {
        let absent = ModelConfig { path: Some("/absent".into()), ..ModelConfig::default() };
        assert!(
            matches!(&with(absent)[1].1, Fail(text) if text.starts_with("models[1]: ") && text.contains("/absent"))
        );
        let adapter = ModelConfig { adapter: Some("/absent.ckpt".into()), ..ModelConfig::default() };
        assert!(matches!(&with(adapter)[1].1, Fail(text) if text.contains("models[].adapter")));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_gpu_that_this_build_cannot_use_fails() {
        let gpu = ModelConfig { device: Some("cuda".into()), ..ModelConfig::default() };
        assert!(matches!(&with(gpu)[1].1, Fail(text) if text.contains("--features cuda")));
    }

    #[test]
    fn a_process_that_holds_no_models_needs_none() {
        let mut config = Config::default();
        config.server.role = Role::Api;
        config.models = vec![ModelConfig { path: Some("/absent".into()), ..ModelConfig::default() }];
        assert!(matches!(&examine(&config)[..], [("models", Fine(_))]));
    }
}
