//! `segprobe config`: the settings in force.

use std::io::{Write, stdout};

use anyhow::Result;
use clap::Args;

use super::settings_args::SettingsArgs;

/// Print the settings that `serve` would use with the same flags, as a TOML file with a comment for each.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs the command.
///
/// # Errors
/// Settings that cannot be read or cannot work.
pub fn run(args: &ConfigArgs) -> Result<()> {
    Ok(stdout().lock().write_all(args.settings.settings()?.to_toml().as_bytes())?)
}
