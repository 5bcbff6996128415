//! The flags that go over the settings, shared by `serve` and `config`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};

use crate::config::{AccessMode, Config, LogFormat, ModelConfig, Role};
use crate::model::{DeviceChoice, Precision};

/// Where settings come from, and those that may be given as flags.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingsArgs {
    /// Settings in TOML, as `segprobe config` prints them; no file is read without this flag.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What this process does.
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    /// Address and port; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Folder of the database, the files of jobs and the audit log.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Model folder, also as NAME=DIR; may be repeated, the first is the default. Replaces the models of the settings.
    #[arg(long, value_name = "[NAME=]DIR")]
    model: Vec<String>,
    /// Adapters to put on the model, if there is one only.
    #[arg(long, value_name = "FILE")]
    adapter: Option<PathBuf>,
    /// cpu, cuda or cuda:INDEX, for all models.
    #[arg(long, value_name = "DEVICE")]
    device: Option<DeviceChoice>,
    /// Arithmetic of attacks' steps, for all models: f32, bf16, f16 (CPU) or tf32 (CUDA).
    #[arg(long, value_name = "FORMAT")]
    dtype: Option<Precision>,
    /// Attacks that run at once.
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<LogFormat>,
    /// Who is let in.
    #[arg(long, value_name = "MODE")]
    access: Option<AccessMode>,
}

impl SettingsArgs {
    /// The settings in force: defaults, file, environment, flags.
    ///
    /// # Errors
    /// Settings that cannot be read or cannot work, and flags that contradict each other.
    pub fn settings(&self) -> Result<Config> {
        let mut config = Config::load(self.config.as_deref(), environment())?;
        self.lay_over(&mut config)?;
        config.check()?;
        Ok(config)
    }

    fn lay_over(&self, config: &mut Config) -> Result<()> {
        set(&mut config.server.role, self.role);
        set(&mut config.server.listen, self.listen);
        set(&mut config.storage.folder, self.data.clone());
        set(&mut config.queue.workers, self.workers);
        set(&mut config.log.format, self.log_format);
        set(&mut config.access.mode, self.access);
        if !self.model.is_empty() {
            config.models = self.model.iter().map(|text| model(text)).collect();
        }
        let no_model = config.models.is_empty();
        if no_model && (self.adapter.is_some() || self.device.is_some() || self.dtype.is_some()) {
            config.models.push(ModelConfig::default());
        }
        if self.adapter.is_some() {
            let models = config.models.len();
            ensure!(models == 1, "--adapter: there are {models} models: name the adapter of each in a settings file");
            config.models[0].adapter = self.adapter.clone();
        }
        if let Some(device) = self.device {
            config.models.iter_mut().for_each(|model| model.device = Some(device.to_string()));
        }
        if let Some(dtype) = self.dtype {
            config.models.iter_mut().for_each(|model| model.dtype = Some(dtype.to_string()));
        }
        Ok(())
    }
}

/// The variables that may be settings; names and values that are no text cannot be.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Where jobs and keys are, for commands that need no more.
#[derive(Debug, Clone, Default, Args)]
pub struct StorageArgs {
    /// Settings in TOML that the service was started with.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The service's folder.
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<PathBuf>,
}

impl StorageArgs {
    /// Whether a service is meant at all: by a flag, or by a variable that is a setting.
    pub fn are_given(&self) -> bool {
        self.config.is_some() || self.data.is_some() || Config::is_in(environment())
    }

    /// The settings in force, of which only those of storage are of use.
    ///
    /// # Errors
    /// Settings that cannot be read or cannot work.
    pub fn settings(&self) -> Result<Config> {
        let mut config = Config::load(self.config.as_deref(), environment())?;
        set(&mut config.storage.folder, self.data.clone());
        config.check()?;
        Ok(config)
    }
}

fn set<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

/// `NAME=DIR` or `DIR`; what is before a `=` is a name unless it holds a slash.
fn model(text: &str) -> ModelConfig {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) if !name.contains('/') => (Some(name.to_owned()), path),
        _ => (None, text),
    };
    ModelConfig { name, path: Some(path.to_owned()), ..ModelConfig::default() }
}

impl ValueEnum for LogFormat {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Text, Self::Json]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(match self {
            Self::Text => "text",
            Self::Json => "json",
        }))
    }
}

impl ValueEnum for Role {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::All, Self::Api, Self::Worker]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(match self {
            Self::All => clap::builder::PossibleValue::new("all").help("both of the others"),
            Self::Api => clap::builder::PossibleValue::new("api").help("takes requests, holds no models"),
            Self::Worker => clap::builder::PossibleValue::new("worker").help("runs jobs of the models it holds"),
        })
    }
}

impl ValueEnum for AccessMode {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Loopback, Self::Keys, Self::OpenToEverybody]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(match self {
            Self::Loopback => clap::builder::PossibleValue::new("loopback").help("everybody on this machine, no other"),
            Self::Keys => clap::builder::PossibleValue::new("keys").help("who has an API key or a token"),
            Self::OpenToEverybody => clap::builder::PossibleValue::new("open_to_everybody").help("whoever can connect"),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        settings: SettingsArgs,
    }

    fn laid_over(mut config: Config, flags: &[&str]) -> Result<Config> {
        let all = std::iter::once("serve").chain(flags.iter().copied());
        Flags::try_parse_from(all)?.settings.lay_over(&mut config)?;
        Ok(config)
    }

    #[test]
    fn flags_go_over_everything_else() {
        let flags = ["--listen", "127.0.0.1:0", "--workers", "2", "--access", "keys", "--data", "/d"];
        let config = laid_over(Config::default(), &flags).unwrap();
        assert_eq!(config.server.listen.port(), 0);
        assert_eq!((config.queue.workers, config.access.mode), (2, AccessMode::Keys));
        assert_eq!(config.storage.folder, PathBuf::from("/d"));
    }

    #[test]
    fn models_given_as_flags_replace_those_of_the_settings() {
        let settings = Config { models: vec![ModelConfig::default(); 3], ..Config::default() };
        let flags = ["--model", "chest=/models/chest", "--model", "./a=b", "--device", "cuda:1"];
        let models = laid_over(settings, &flags).unwrap().models;
        assert_eq!(models.len(), 2);
        assert_eq!((models[0].name.as_deref(), models[0].path.as_deref()), (Some("chest"), Some("/models/chest")));
        assert_eq!((models[1].name.as_deref(), models[1].path.as_deref()), (None, Some("./a=b")));
        assert!(models.iter().all(|model| model.device.as_deref() == Some("cuda:1")));
    }

    #[test]
    fn an_adapter_goes_to_the_only_model_or_is_refused() {
        let models = laid_over(Config::default(), &["--adapter", "a.ckpt"]).unwrap().models;
        assert_eq!(models[0].adapter, Some("a.ckpt".into()));
        let flags = ["--model", "a", "--model", "b", "--adapter", "a.ckpt"];
        assert!(laid_over(Config::default(), &flags).unwrap_err().to_string().contains("there are 2 models"));
    }
}
