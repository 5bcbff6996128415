//! Log lines, on standard error so that standard output stays for answers.

use std::io::IsTerminal;

use anyhow::{Result, anyhow};
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Begins to log; to be called once in a process.
///
/// # Errors
/// A filter that cannot be read; a process that logs already.
pub fn install(config: &LogConfig) -> Result<()> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).try_init(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
    };
    installed.map_err(|error| anyhow!("cannot begin to log: {error}"))
}
