//! Log lines, on standard error so that standard output stays for answers.

use std::io::IsTerminal;

use anyhow::{Result, anyhow};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::traces::{self, Traces};
use crate::config::{LogConfig, LogFormat};

/// Begins to log, and to hand spans to `traces` if there are any; to be called once in a process.
///
/// # Errors
/// A filter that cannot be read; a process that logs already.
pub fn install(config: &LogConfig, traces: Option<&Traces>) -> Result<()> {
    // What is exported has names and fields of its own; a line has those of the request or job around it.
    let filter = EnvFilter::try_new(&config.filter)?.add_directive(format!("{}=off", traces::TARGET).parse()?);
    let lines = fmt::layer::<Registry>().with_writer(std::io::stderr);
    let lines = match config.format {
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
    };
    let mut layers = vec![lines];
    layers.extend(traces.map(|traces| traces.layer::<Registry>().boxed()));
    let installed = tracing_subscriber::registry().with(layers).try_init();
    installed.map_err(|error| anyhow!("cannot begin to log: {error}"))
}
