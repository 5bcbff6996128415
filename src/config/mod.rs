//! What an operator sets: one value, from defaults, a TOML file, the environment and flags, in this order.
//!
//! [`Config::load`] reads the first three; the flags of `segprobe serve` are laid over them by the command line,
//! and [`Config::check`] then says which setting cannot work. [`settings`] has a line about each.

mod access;
mod check;
mod load;
pub mod settings;

pub use access::{AccessConfig, AccessMode};
pub use load::ConfigError;
pub(crate) use load::{explain, toml_file};

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::artifact::Bucket;
use crate::engine::EngineConfig;

/// All settings of the service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub server: ServerConfig,
    pub limits: LimitsConfig,
    pub queue: QueueConfig,
    pub engine: EngineSettings,
    pub storage: StorageConfig,
    /// The first is the default model; the demo model if there is none.
    pub models: Vec<ModelConfig>,
    pub access: AccessConfig,
    pub log: LogConfig,
    pub telemetry: TelemetryConfig,
}

/// How the service is reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// What this process does.
    pub role: Role,
    /// `http://host:port` at which other processes reach this one; empty if they do not.
    pub advertise: String,
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Seconds that a request may take, apart from those that were asked to wait.
    pub request_timeout_seconds: u64,
    /// Most seconds that `Prefer: wait` may ask for.
    pub max_wait_seconds: u64,
    /// Seconds that running attacks get to finish on shutdown, before they are handed back to the queue.
    pub shutdown_grace_seconds: u64,
}

/// What may be uploaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// Width times height of a picture.
    pub pixels: u64,
    /// Width and height of a picture.
    pub side: u32,
    /// Uploads that are decoded at once.
    pub decoders: usize,
    /// Uploads above 64 KiB that are received at once; one more waits a little and is answered 503.
    pub uploads: usize,
    /// Bytes of uploads that may wait for a decoder; more are answered 503.
    pub waiting_bytes: u64,
}

/// How jobs wait, run and are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Attacks that run at once, sharing the batches of the models.
    pub workers: usize,
    /// Jobs that may wait; one more is answered 429.
    pub max_queued: u64,
    /// Unfinished jobs of one caller.
    pub max_per_caller: u64,
    /// How often a job is begun before it is given up.
    pub max_attempts: u32,
    /// Seconds after which a worker that shows no progress has lost its job.
    pub lease_seconds: u64,
    /// Seconds between two checkpoints of a running attack; if 0, there is one on shutdown only.
    pub checkpoint_seconds: u64,
    /// Seconds before the second attempt; doubles with each further one.
    pub retry_seconds: u64,
    /// Days that ended jobs and their files are kept; for ever if 0.
    pub keep_days: u32,
    /// Hours that idempotency keys are remembered.
    pub idempotency_hours: u32,
}

/// How models work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineSettings {
    /// Most images in one call of a model; how many there are is chosen from measurements.
    pub max_batch: usize,
    /// MiB that one call of a model may take beside its weights; a share of what is free at start if 0.
    pub memory_mib: u64,
}

impl From<&EngineSettings> for EngineConfig {
    fn from(settings: &EngineSettings) -> Self {
        let memory = (settings.memory_mib > 0).then_some(settings.memory_mib << 20);
        Self { max_batch: settings.max_batch, memory, ..Self::default() }
    }
}

/// Where everything is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// Folder of the database, the artifacts and the audit log, as far as they are not elsewhere; made if it is absent.
    pub folder: PathBuf,
    /// `postgres://user@host/database`; a SQLite file in the folder if empty.
    pub database: String,
    /// `s3://bucket/prefix`; the folder if empty.
    pub artifacts: String,
    /// `https://host:port` of a server that speaks S3; the region's own if empty.
    pub s3_endpoint: String,
    /// The bucket's region; `AWS_REGION` if empty.
    pub s3_region: String,
    /// Whether the bucket's name is in the path and not in the host.
    pub s3_path_style: bool,
}

impl StorageConfig {
    /// Whether several processes can work on the same jobs.
    pub fn is_shared(&self) -> bool {
        !self.database.is_empty()
    }

    /// The bucket of files, if they are in one.
    pub fn bucket(&self) -> Option<Bucket> {
        let set = |text: &String| (!text.is_empty()).then(|| text.clone());
        Some(Bucket {
            url: set(&self.artifacts)?,
            endpoint: set(&self.s3_endpoint),
            region: set(&self.s3_region),
            path_style: self.s3_path_style,
        })
    }
}

/// What a process does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Both of the others.
    #[default]
    All,
    /// Takes requests; has no models, and knows those that workers have announced.
    Api,
    /// Runs jobs of the models it holds; answers nobody but its operator.
    Worker,
}

impl Role {
    /// The name in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// A model that stays resident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Its name in requests; the folder's name if left out.
    pub name: Option<String>,
    /// Its folder; the demo model if left out.
    pub path: Option<String>,
    /// Adapters to put on it.
    pub adapter: Option<PathBuf>,
    /// `cpu`, `cuda` or `cuda:INDEX`; cpu if left out.
    pub device: Option<String>,
    /// Arithmetic of the steps of attacks: `f32`, `bf16`, `f16` or `tf32`; f32 if left out.
    pub dtype: Option<String>,
    /// Whether blocks run again for their gradient instead of keeping what it needs; false if left out.
    pub recompute: Option<bool>,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `json` or `text`.
    pub format: LogFormat,
    /// As in `RUST_LOG`: `info`, `segprobe=debug`, ...
    pub filter: String,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a terminal.
    #[default]
    Text,
}

/// Where traces go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// `http://host:4318` of a collector that speaks OTLP over HTTP; nothing is sent if empty.
    pub otlp_endpoint: String,
    /// What the collector calls this service.
    pub service_name: String,
    /// Share of traces that are kept, from 0 to 1; a caller's own decision goes before it.
    pub sample_ratio: f64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            role: Role::All,
            advertise: String::new(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            request_timeout_seconds: 60,
            max_wait_seconds: 300,
            shutdown_grace_seconds: 20,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            body_bytes: 64 << 20,
            pixels: 50_000_000,
            side: 20_000,
            decoders: 2,
            uploads: 32,
            waiting_bytes: 256 << 20,
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self {
            workers: 8,
            max_queued: 1000,
            max_per_caller: 500,
            max_attempts: 3,
            lease_seconds: 60,
            checkpoint_seconds: 20,
            retry_seconds: 2,
            keep_days: 30,
            idempotency_hours: 24,
        }
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { max_batch: EngineConfig::default().max_batch, memory_mib: 0 }
    }
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self {
            folder: "segprobe-data".into(),
            database: String::new(),
            artifacts: String::new(),
            s3_endpoint: String::new(),
            s3_region: String::new(),
            s3_path_style: true,
        }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: String::new(), service_name: "segprobe".into(), sample_ratio: 1. }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".into() }
    }
}
