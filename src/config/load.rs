//! Where settings come from: the defaults, then a TOML file, then the environment.

use std::path::{Path, PathBuf};

use figment::providers::{Data, Format, Serialized, Toml};
use figment::util::nest;
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};

use super::Config;

/// What the name of a variable begins with.
const PREFIX: &str = "SEGPROBE_";

/// Between a section and a key in the name of a variable.
const SEPARATOR: &str = "__";

/// The one setting that belongs to no section.
const MODELS: &str = "MODELS";

/// Why there are no settings to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings in {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    /// A name that no setting has, or a value of another type; each as `key: what is wrong (where it was set)`.
    #[error("{0}")]
    Unusable(String),
    /// A value that cannot work.
    #[error("{key} {detail}")]
    Setting { key: String, detail: String },
}

impl Config {
    /// Reads the settings: the defaults, over them `file`, over them the variables `SEGPROBE_SECTION__KEY`.
    ///
    /// Variables that have no `__` are left alone, except `SEGPROBE_MODELS`, which holds the list of models in TOML:
    /// `[{name="chest", path="/models/chest"}]`.
    ///
    /// # Errors
    /// [`ConfigError::File`], [`ConfigError::Unusable`]. Values are not judged: see [`Self::check`].
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            let file = toml_file(path).map_err(|source| ConfigError::File { path: path.into(), source })?;
            figment = figment.merge(file);
        }
        figment = environment.into_iter().filter_map(Variable::of).fold(figment, Figment::merge);
        figment.extract().map_err(|error| ConfigError::Unusable(explain(error)))
    }

    /// Whether some of these variables are meant as settings.
    pub fn is_in(environment: impl IntoIterator<Item = (String, String)>) -> bool {
        environment.into_iter().any(|variable| Variable::of(variable).is_some())
    }
}

/// A TOML file that can be opened: Figment takes one that is absent for an empty one.
pub(crate) fn toml_file(path: &Path) -> std::io::Result<Data<Toml>> {
    std::fs::File::open(path)?;
    Ok(Toml::file_exact(path))
}

/// All that is wrong, one sentence each, with the key as it is written in a file.
pub(crate) fn explain(error: figment::Error) -> String {
    let one = |error: figment::Error| {
        let key = error.path.join(".");
        let origin = error.metadata.as_ref().map(|metadata| match &metadata.source {
            Some(source) => format!(" (in {source})"),
            None => format!(" (in {})", metadata.name),
        });
        let colon = if key.is_empty() { "" } else { ": " };
        format!("{key}{colon}{}{}", error.kind, origin.unwrap_or_default())
    };
    error.into_iter().map(one).collect::<Vec<_>>().join("; ")
}

/// A variable that is a setting.
struct Variable {
    name: String,
    /// As in a file.
    key: String,
    value: String,
}

impl Variable {
    fn of((name, value): (String, String)) -> Option<Self> {
        let rest = name.strip_prefix(PREFIX)?;
        let key = rest.replace(SEPARATOR, ".").to_lowercase();
        (rest.contains(SEPARATOR) || rest == MODELS).then_some(Self { name, key, value })
    }
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let Ok(value) = self.value.parse();
        Ok(Profile::Default.collect(nest(&self.key, value).into_dict().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AccessMode, LogFormat};

    fn variables(all: &[(&str, &str)]) -> Vec<(String, String)> {
        all.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn without_a_file_and_variables_there_are_the_defaults() {
        assert_eq!(Config::load(None, []).unwrap(), Config::default());
    }

    #[test]
    fn only_variables_with_a_section_are_settings() {
        assert!(Config::is_in(variables(&[("PATH", "/bin"), ("SEGPROBE_QUEUE__WORKERS", "5")])));
        assert!(Config::is_in(variables(&[("SEGPROBE_MODELS", "[]")])));
        assert!(!Config::is_in(variables(&[("PATH", "/bin"), ("SEGPROBE_COMMIT", "abc"), ("A__B", "1")])));
    }

    #[test]
    fn variables_go_over_the_file_and_the_file_over_the_defaults() {
        let file = file("[queue]\nworkers = 3\nlease_seconds = 9\n[log]\nformat = \"json\"\n");
        let variables = variables(&[("SEGPROBE_QUEUE__WORKERS", "5"), ("SEGPROBE_ACCESS__MODE", "keys")]);
        let config = Config::load(Some(file.path()), variables).unwrap();
        assert_eq!((config.queue.workers, config.queue.lease_seconds), (5, 9));
        assert_eq!((config.log.format, config.access.mode), (LogFormat::Json, AccessMode::Keys));
        assert_eq!(config.queue.max_queued, Config::default().queue.max_queued);
    }

    #[test]
    fn models_come_from_the_file_as_tables_and_from_the_environment_as_a_list() {
        let file = file("[[models]]\nname = \"a\"\n[[models]]\npath = \"/b\"\ndevice = \"cuda:1\"\n");
        let config = Config::load(Some(file.path()), []).unwrap();
        assert_eq!(config.models.len(), 2);
        assert_eq!(config.models[1].device.as_deref(), Some("cuda:1"));
        let list = variables(&[("SEGPROBE_MODELS", r#"[{name="c", path="/c"}]"#)]);
        let config = Config::load(Some(file.path()), list).unwrap();
        assert_eq!(config.models.len(), 1);
        assert_eq!((config.models[0].name.as_deref(), config.models[0].path.as_deref()), (Some("c"), Some("/c")));
    }

    #[test]
    fn variables_without_a_section_are_not_settings() {
        let config = Config::load(None, variables(&[("SEGPROBE_COMMIT", "abc"), ("OTHER__KEY", "1")])).unwrap();
        assert_eq!(config, Config::default());
    }

    #[test]
    fn an_error_names_the_key_and_where_it_was_set() {
        let error = Config::load(None, variables(&[("SEGPROBE_SERVER__LISTEN", "here")])).unwrap_err().to_string();
        assert!(error.contains("server.listen") && error.contains("SEGPROBE_SERVER__LISTEN"), "{error}");
        let file = file("[queue]\nworker = 3\n");
        let error = Config::load(Some(file.path()), []).unwrap_err().to_string();
        let path = file.path().file_name().unwrap().to_str().unwrap();
        assert!(error.contains("queue") && error.contains("`worker`") && error.contains(path), "{error}");
    }

    #[test]
    fn a_file_that_is_absent_is_an_error() {
        let error = Config::load(Some(Path::new("/nowhere/segprobe.toml")), []).unwrap_err();
        assert!(matches!(error, ConfigError::File { .. }), "{error}");
    }
}
