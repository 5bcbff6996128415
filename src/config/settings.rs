//! A line about each setting, for `segprobe config` and the manual.

use std::fmt::Write;

use serde_json::Value;

use super::Config;

/// What is said about a setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// `section.key`, as in a file.
    pub key: &'static str,
    /// What it does, in its unit.
    pub meaning: &'static str,
}

/// All settings apart from the models, in the order of the sections.
pub const SETTINGS: &[Setting] = &[
    about("server.role", "`all`, `api` (takes requests, holds no models) or `worker` (runs jobs of its models)."),
    about(
        "server.advertise",
        "`http://host:port` at which processes without models reach this one; empty if they do not.",
    ),
    about("server.listen", "Address and port; port 0 takes a free one."),
    about("server.request_timeout_seconds", "Seconds that a request may take, apart from those that asked to wait."),
    about("server.max_wait_seconds", "Most seconds that `Prefer: wait` may ask for."),
    about("server.shutdown_grace_seconds", "Seconds that running attacks get on shutdown before they are handed back."),
    about("limits.body_bytes", "Bytes of a request's body."),
    about("limits.pixels", "Width times height of a picture."),
    about("limits.side", "Width and height of a picture."),
    about("limits.decoders", "Uploads that are decoded at once."),
    about(
        "limits.uploads",
        "Uploads above 64 KiB that are received at once; one more waits a little and is answered 503.",
    ),
    about("limits.waiting_bytes", "Bytes of uploads that may wait for a decoder; more are answered 503."),
    about("queue.workers", "Attacks that run at once, sharing the batches of the models."),
    about("queue.max_queued", "Jobs that may wait; one more is answered 429."),
    about("queue.max_per_caller", "Unfinished jobs of one caller, unless the key says otherwise."),
    about("queue.max_attempts", "How often a job is begun before it is given up."),
    about("queue.lease_seconds", "Seconds after which a worker that shows no progress has lost its job."),
    about(
        "queue.checkpoint_seconds",
        "Seconds between two checkpoints of a running attack, from which another worker goes on; if 0, on shutdown only.",
    ),
    about("queue.retry_seconds", "Seconds before the second attempt; doubles with each further one."),
    about("queue.keep_days", "Days that ended jobs and their files are kept; 0 keeps them for ever."),
    about("queue.idempotency_hours", "Hours that idempotency keys are remembered."),
    about("engine.max_batch", "Most images in one call of a model; how many there are is chosen from measurements."),
    about(
        "engine.memory_mib",
        "MiB that one call of a model may take beside its weights; 0 takes a share of what is free at start.",
    ),
    about(
        "storage.folder",
        "Folder of the audit log, and of database and files that are not elsewhere; made if it is absent.",
    ),
    about("storage.database", "`postgres://user@host/database`; a SQLite file in the folder if empty."),
    about("storage.artifacts", "`s3://bucket/prefix` of the files of jobs; the folder if empty."),
    about("storage.s3_endpoint", "`https://host:port` of a server that speaks S3; the region's own if empty."),
    about("storage.s3_region", "The bucket's region; `AWS_REGION` if empty."),
    about("storage.s3_path_style", "Whether the bucket's name is in the path and not in the host."),
    about("access.mode", "`loopback`, `keys` or `open_to_everybody`: who is let in."),
    about(
        "access.requests_per_minute",
        "Requests a minute of one key or token's subject, or of one address where nobody is asked.",
    ),
    about(
        "access.oidc_issuer",
        "`https://...` of the issuer whose tokens are accepted beside keys; none are if empty.",
    ),
    about("access.oidc_audience", "What tokens have to be made for: a value of their `aud`."),
    about(
        "access.oidc_role_claim",
        "Where a token holds roles: a path with dots (`realm_access.roles`), or a JSON pointer if it begins with `/`.",
    ),
    about("access.oidc_reader_roles", "Roles that mean the scope `reader`."),
    about("access.oidc_runner_roles", "Roles that mean the scope `runner`."),
    about("access.oidc_admin_roles", "Roles that mean the scope `admin`."),
    about("access.oidc_leeway_seconds", "Seconds by which the issuer's clock and this one may differ."),
    about("log.format", "`text` or `json`."),
    about("log.filter", "What is logged, as in `RUST_LOG`: `info`, `segprobe=debug`, ..."),
    about(
        "telemetry.otlp_endpoint",
        "`http://host:4318` of a collector of traces that speaks OTLP over HTTP; nothing is sent if empty.",
    ),
    about("telemetry.service_name", "What the collector calls this service."),
    about("telemetry.sample_ratio", "Share of traces that are kept, 0 to 1; what a caller decided goes before it."),
];

/// The keys of a model, which come as a list of tables.
pub const MODEL_SETTINGS: &[Setting] = &[
    about("name", "Its name in requests; the folder's name if left out."),
    about("path", "Its folder; the demo model if left out."),
    about("adapter", "Adapters to put on it."),
    about("device", "`cpu`, `cuda` or `cuda:INDEX`; cpu if left out."),
    about("dtype", "Arithmetic of attacks' steps: `f32`, `bf16`, `f16` (CPU) or `tf32` (CUDA); f32 if left out."),
    about("recompute", "Runs blocks again for their gradient: slower, less memory; false if left out."),
];

const fn about(key: &'static str, meaning: &'static str) -> Setting {
    Setting { key, meaning }
}

impl Setting {
    /// The variable that sets it.
    pub fn variable(&self) -> String {
        format!("SEGPROBE_{}", self.key.replace('.', "__").to_uppercase())
    }
}

impl Config {
    /// The settings as a TOML file, with a comment above each.
    pub fn to_toml(&self) -> String {
        let all = serde_json::to_value(self).expect("settings are plain values with text keys");
        let mut toml = String::new();
        let mut section = "";
        for setting in SETTINGS {
            let (its_section, name) = setting.key.split_once('.').expect("a key is `section.key`");
            if its_section != section {
                section = its_section;
                let space = if toml.is_empty() { "" } else { "\n" };
                push(&mut toml, format_args!("{space}[{section}]"));
            }
            push(
                &mut toml,
                format_args!("# {}\n{name} = {}", setting.meaning, literal(&shown(setting, &all[section][name]))),
            );
        }
        push(&mut toml, format_args!("\n# The first model is the default; without any there is the demo model."));
        for model in all["models"].as_array().into_iter().flatten() {
            push(&mut toml, format_args!("[[models]]"));
            for Setting { key, meaning } in MODEL_SETTINGS.iter().filter(|setting| !model[setting.key].is_null()) {
                push(&mut toml, format_args!("# {meaning}\n{key} = {}", literal(&model[key])));
            }
        }
        toml
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(text, "{line}").expect("a string takes all that is written to it");
}

/// What may be shown of a setting: of an address all but its password.
fn shown(setting: &Setting, value: &Value) -> Value {
    let Some((user, host)) = value.as_str().and_then(|address| address.rsplit_once('@')) else { return value.clone() };
    match user.rsplit_once(':') {
        Some((user, password)) if setting.key == "storage.database" && !password.starts_with("//") => {
            format!("{user}:PASSWORD@{host}").into()
        }
        _ => value.clone(),
    }
}

/// JSON's numbers, booleans and texts mean the same in TOML, except that TOML wants the delete character escaped.
fn literal(value: &Value) -> String {
    value.to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;

    /// The table of the manual.
    fn table() -> String {
        let all = serde_json::to_value(Config::default()).unwrap();
        let mut table = String::from("| setting | variable | default | meaning |\n| --- | --- | --- | --- |\n");
        for setting in SETTINGS {
            let (section, name) = setting.key.split_once('.').unwrap();
            let (variable, default) = (setting.variable(), literal(&all[section][name]));
            push(&mut table, format_args!("| `{}` | `{variable}` | `{default}` | {} |", setting.key, setting.meaning));
        }
        for Setting { key, meaning } in MODEL_SETTINGS {
            push(&mut table, format_args!("| `models[].{key}` | `SEGPROBE_MODELS` (a list) | | {meaning} |"));
        }
        table
    }

    fn keys(value: &Value) -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn no_password_is_shown() {
        let toml = |database: &str| {
            let mut config = Config::default();
            config.storage.database = database.into();
            config.to_toml()
        };
        let shown = toml("postgres://segprobe:hunter2@db:5432/jobs");
        assert!(!shown.contains("hunter2") && shown.contains("postgres://segprobe:PASSWORD@db:5432/jobs"), "{shown}");
        assert!(toml("postgres://segprobe@db/jobs").contains("\"postgres://segprobe@db/jobs\""));
    }

    #[test]
    fn every_setting_is_described_and_nothing_else() {
        let all = serde_json::to_value(Config::default()).unwrap();
        let sections = keys(&all).into_iter().filter(|section| section != "models");
        let mut expected: Vec<String> = sections
            .flat_map(|section| keys(&all[&section]).into_iter().map(move |key| format!("{section}.{key}")))
            .collect();
        let mut described: Vec<String> = SETTINGS.iter().map(|setting| setting.key.into()).collect();
        expected.sort();
        described.sort();
        assert_eq!(described, expected);
        let mut expected = keys(&serde_json::to_value(ModelConfig::default()).unwrap());
        let mut described: Vec<&str> = MODEL_SETTINGS.iter().map(|setting| setting.key).collect();
        expected.sort();
        described.sort();
        assert_eq!(described, expected);
    }

    #[test]
    fn what_is_printed_reads_back_as_the_same_settings() {
        let mut config = Config::default();
        config.storage.folder = "a \"quoted\" \\ folder\u{7f}".into();
        config.models = vec![
            ModelConfig { name: Some("a".into()), path: Some("/a".into()), ..ModelConfig::default() },
            ModelConfig { device: Some("cuda:1".into()), ..ModelConfig::default() },
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config.to_toml()).unwrap();
        assert_eq!(Config::load(Some(file.path()), []).unwrap(), config);
    }

    #[test]
    fn the_manual_has_the_table_of_settings() {
        let manual = include_str!("../../docs/operating.md");
        assert!(manual.contains(&table()), "put this table into docs/operating.md:\n\n{}", table());
    }
}
