//! `segprobe serve`: the HTTP service.

use anyhow::{Context, Result};
use clap::Args;

use super::settings_args::SettingsArgs;
use crate::api::server;
use crate::telemetry::{Traces, logs};

/// Serve attacks over HTTP until the process is asked to stop.
#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs the command until a signal ends it.
///
/// # Errors
/// Settings that cannot work; a folder, model or address that cannot be used.
pub fn run(args: &ServeArgs) -> Result<()> {
    let config = args.settings.settings()?;
    let traces = Traces::start(&config)?;
    logs::install(&config.log, traces.as_ref())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let served = runtime.block_on(server::serve(config));
    // what is cut off ends its spans
    drop(runtime);
    if let Some(traces) = traces {
        traces.stop();
    }
    served
}
