//! Whether the settings can work together.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use axum::http::Uri;
use tracing_subscriber::EnvFilter;

use super::{AccessMode, Config, ConfigError, ModelConfig, Role, TelemetryConfig};
use crate::model::{DeviceChoice, Precision};

impl Config {
    /// Checks the values, each by itself and against the others.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] with the first key whose value cannot work, and what to set instead.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.check_ranges()?;
        if self.storage.folder.as_os_str().is_empty() {
            return Err(wrong("storage.folder", "is empty: name the folder that everything is kept in"));
        }
        if let Err(error) = EnvFilter::try_new(&self.log.filter) {
            return Err(wrong("log.filter", format!("is not a filter ({error}): try \"info\" or \"segprobe=debug\"")));
        }
        self.check_telemetry()?;
        self.check_storage()?;
        self.check_models()?;
        self.check_access()
    }

    fn check_ranges(&self) -> Result<(), ConfigError> {
        let Self { server, limits, queue, engine, access, .. } = self;
        range("server.request_timeout_seconds", server.request_timeout_seconds, 1..=3600)?;
        range("server.max_wait_seconds", server.max_wait_seconds, 0..=3600)?;
        range("server.shutdown_grace_seconds", server.shutdown_grace_seconds, 0..=3600)?;
        range("limits.body_bytes", limits.body_bytes, 64 << 10..=4 << 30)?;
        range("limits.pixels", limits.pixels, 1..=1 << 32)?;
        range("limits.side", limits.side.into(), 1..=1 << 20)?;
        range("limits.decoders", limits.decoders as u64, 1..=256)?;
        range("limits.uploads", limits.uploads as u64, 1..=10_000)?;
        range("limits.waiting_bytes", limits.waiting_bytes, limits.body_bytes..=1 << 40)?;
        range("queue.workers", queue.workers as u64, 1..=1024)?;
        range("queue.max_queued", queue.max_queued, 1..=1_000_000)?;
        range("queue.max_per_caller", queue.max_per_caller, 1..=1_000_000)?;
        range("queue.max_attempts", queue.max_attempts.into(), 1..=100)?;
        // A worker says that it is alive several times in a lease, at most twice a second.
        range("queue.lease_seconds", queue.lease_seconds, 3..=3600)?;
        range("queue.checkpoint_seconds", queue.checkpoint_seconds, 0..=3600)?;
        range("queue.retry_seconds", queue.retry_seconds, 0..=3600)?;
        range("queue.keep_days", queue.keep_days.into(), 0..=36_500)?;
        range("queue.idempotency_hours", queue.idempotency_hours.into(), 1..=8760)?;
        range("engine.max_batch", engine.max_batch as u64, 1..=1024)?;
        range("engine.memory_mib", engine.memory_mib, 0..=1 << 30)?;
        range("access.requests_per_minute", access.requests_per_minute.into(), 1..=1_000_000)
    }

    fn check_telemetry(&self) -> Result<(), ConfigError> {
        let TelemetryConfig { otlp_endpoint, service_name, sample_ratio } = &self.telemetry;
        if otlp_endpoint.contains('@') {
            // what was set holds a password
            let advice = "holds a name or a password: put them into OTEL_EXPORTER_OTLP_HEADERS";
            return Err(wrong("telemetry.otlp_endpoint", advice));
        }
        let host = ["http://", "https://"].iter().find_map(|scheme| otlp_endpoint.strip_prefix(scheme));
        let named = host.is_some_and(|host| host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
        let is_address = named && otlp_endpoint.parse::<Uri>().is_ok();
        if !otlp_endpoint.is_empty() && (!is_address || otlp_endpoint.contains(['?', '#'])) {
            let advice = "is none: write http://host:4318, or nothing to send no traces";
            return Err(wrong("telemetry.otlp_endpoint", format!("{otlp_endpoint:?} {advice}")));
        }
        if service_name.is_empty() {
            return Err(wrong("telemetry.service_name", "is empty: write what the collector shall call this service"));
        }
        if !(0. ..=1.).contains(sample_ratio) {
            return Err(wrong("telemetry.sample_ratio", format!("is {sample_ratio}: set it from 0 to 1")));
        }
        Ok(())
    }

    fn check_storage(&self) -> Result<(), ConfigError> {
        let Self { storage, server, .. } = self;
        let database = &storage.database;
        if !database.is_empty() && !["postgres://", "postgresql://"].iter().any(|scheme| database.starts_with(scheme)) {
            // what was set may hold a password
            let advice = "is none: write postgres://user@host:5432/database, or nothing for a SQLite file";
            return Err(wrong("storage.database", advice));
        }
        let bucket = storage.artifacts.strip_prefix("s3://");
        if !storage.artifacts.is_empty() && bucket.is_none_or(|bucket| bucket.is_empty() || bucket.starts_with('/')) {
            let advice = "is none: write s3://bucket or s3://bucket/prefix, or nothing for the folder";
            return Err(wrong("storage.artifacts", format!("{:?} {advice}", storage.artifacts)));
        }
        let endpoint = &storage.s3_endpoint;
        if !endpoint.is_empty() && !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme)) {
            return Err(wrong("storage.s3_endpoint", format!("{endpoint:?} is none: write https://host:port")));
        }
        if server.role != Role::All && (database.is_empty() || storage.artifacts.is_empty()) {
            let advice = "needs what other processes share: set storage.database and storage.artifacts too";
            return Err(wrong("server.role", format!("other than \"all\" {advice}")));
        }
        if !database.is_empty() && storage.artifacts.is_empty() {
            let advice = "is empty: with a database that processes share, files have to be in a bucket that they share";
            return Err(wrong("storage.artifacts", advice));
        }
        Ok(())
    }

    fn check_models(&self) -> Result<(), ConfigError> {
        let mut names = BTreeSet::new();
        for (index, model) in self.models.iter().enumerate() {
            check_model(index, model)?;
            if let Some(name) = &model.name
                && !names.insert(name)
            {
                return Err(wrong(
                    format!("models[{index}].name"),
                    format!("{name:?} is taken: give each model another name"),
                ));
            }
        }
        Ok(())
    }

    fn check_access(&self) -> Result<(), ConfigError> {
        let address = self.server.listen;
        if self.access.mode == AccessMode::Loopback && !address.ip().is_loopback() {
            let advice = "can be reached from other machines: set access.mode to \"keys\" and create a key with \
                          `segprobe keys create`, or to \"open_to_everybody\" if the network is closed by other means";
            return Err(wrong("server.listen", format!("{address} {advice}")));
        }
        self.access.check_oidc()
    }
}

fn check_model(index: usize, model: &ModelConfig) -> Result<(), ConfigError> {
    if let Some(name) = &model.name {
        let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let advice = "use up to 64 letters, digits, dots, dashes and underscores";
            return Err(wrong(format!("models[{index}].name"), format!("{name:?} cannot be a model's name: {advice}")));
        }
    }
    if model.path.as_deref() == Some("") {
        return Err(wrong(format!("models[{index}].path"), "is empty: leave it out for the demo model"));
    }
    if let Some(device) = &model.device {
        let parsed: Result<DeviceChoice, _> = device.parse();
        parsed.map_err(|error| wrong(format!("models[{index}].device"), format!("cannot be used: {error}")))?;
    }
    if let Some(dtype) = &model.dtype {
        let parsed: Result<Precision, _> = dtype.parse();
        parsed.map_err(|error| wrong(format!("models[{index}].dtype"), format!("cannot be used: {error}")))?;
    }
    Ok(())
}

pub(super) fn range(key: &str, value: u64, allowed: RangeInclusive<u64>) -> Result<(), ConfigError> {
    match allowed.contains(&value) {
        true => Ok(()),
        false => Err(wrong(key, format!("is {value}: set it from {} to {}", allowed.start(), allowed.end()))),
    }
}

pub(super) fn wrong(key: impl Into<String>, detail: impl Into<String>) -> ConfigError {
    ConfigError::Setting { key: key.into(), detail: detail.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        config.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_can_work() {
        Config::default().check().unwrap();
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        assert_eq!(refusal(|c| c.queue.workers = 0), "queue.workers is 0: set it from 1 to 1024");
        assert_eq!(refusal(|c| c.queue.lease_seconds = 2), "queue.lease_seconds is 2: set it from 3 to 3600");
        assert!(refusal(|c| c.limits.decoders = 0).starts_with("limits.decoders is 0"));
    }

    #[test]
    fn processes_that_share_jobs_share_a_database_and_files() {
        let shared = |config: &mut Config| {
            config.storage.database = "postgres://segprobe@db/segprobe".into();
            config.storage.artifacts = "s3://segprobe".into();
            config.server.role = Role::Api;
        };
        let mut config = Config::default();
        shared(&mut config);
        config.check().unwrap();
        assert!(refusal(|c| c.server.role = Role::Worker).starts_with("server.role other than"));
        let without = refusal(|c| {
            shared(c);
            c.storage.artifacts.clear();
            c.server.role = Role::All;
        });
        assert!(without.starts_with("storage.artifacts is empty"), "{without}");
    }

    #[test]
    fn addresses_of_storage_have_a_form_and_no_password_is_told() {
        let refused = refusal(|c| c.storage.database = "mysql://segprobe:hunter2@db".into());
        assert!(refused.starts_with("storage.database is none") && !refused.contains("hunter2"), "{refused}");
        for address in ["bucket", "s3://", "s3:///prefix"] {
            assert!(refusal(|c| c.storage.artifacts = address.into()).starts_with("storage.artifacts"), "{address}");
        }
        assert!(refusal(|c| c.storage.s3_endpoint = "minio:9000".into()).starts_with("storage.s3_endpoint"));
    }

    #[test]
    fn another_address_than_loopback_needs_keys_or_an_explicit_word() {
        let everywhere = "0.0.0.0:8080".parse().unwrap();
        let refused = refusal(|c| c.server.listen = everywhere);
        assert!(refused.starts_with("server.listen 0.0.0.0:8080 can be reached") && refused.contains("keys create"));
        for mode in [AccessMode::Keys, AccessMode::OpenToEverybody] {
            let mut config = Config::default();
            (config.server.listen, config.access.mode) = (everywhere, mode);
            config.check().unwrap();
        }
        let mut config = Config::default();
        config.server.listen = "[::1]:0".parse().unwrap();
        config.check().unwrap();
    }

    #[test]
    fn models_need_names_of_their_own_and_a_device_that_exists() {
        let named = |name: &str| ModelConfig { name: Some(name.into()), ..ModelConfig::default() };
        assert!(refusal(|c| c.models = vec![named("a"), named("a")]).starts_with("models[1].name \"a\" is taken"));
        assert!(refusal(|c| c.models = vec![named("a/b")]).contains("cannot be a model's name"));
        let device = ModelConfig { device: Some("tpu".into()), ..ModelConfig::default() };
        assert!(refusal(|c| c.models = vec![device]).starts_with("models[0].device cannot be used"));
    }

    #[test]
    fn a_collector_has_an_address_without_secrets_and_a_share_of_traces() {
        for endpoint in ["http://otel:4318", "https://otel.example/base/", "http://[::1]:4318"] {
            let mut config = Config::default();
            config.telemetry.otlp_endpoint = endpoint.into();
            config.check().unwrap();
        }
        for endpoint in ["otel:4318", "grpc://otel:4317", "http://", "http:///v1", "http://o tel", "http://otel?key=1"]
        {
            let refused = refusal(|c| c.telemetry.otlp_endpoint = endpoint.into());
            assert!(refused.starts_with("telemetry.otlp_endpoint \""), "{refused}");
        }
        let refused = refusal(|c| c.telemetry.otlp_endpoint = "http://me:hunter2@otel:4318".into());
        assert!(refused.contains("OTEL_EXPORTER_OTLP_HEADERS") && !refused.contains("hunter2"), "{refused}");
        for ratio in [-0.1, 1.5, f64::NAN] {
            assert!(refusal(|c| c.telemetry.sample_ratio = ratio).starts_with("telemetry.sample_ratio is"));
        }
        assert!(refusal(|c| c.telemetry.service_name.clear()).starts_with("telemetry.service_name is empty"));
    }

    #[test]
    fn a_filter_that_nobody_can_read_is_refused() {
        assert!(refusal(|c| c.log.filter = "segprobe=loud".into()).starts_with("log.filter is not a filter"));
    }
}
