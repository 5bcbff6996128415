//! What `segprobe serve` needs with the same settings, from the settings themselves to the address.

use anyhow::Result;

use super::report::Finding::{Fail, Fine};
use super::report::Report;
use super::{database, folder, listen, residents, storage};
use crate::cli::settings_args::StorageArgs;
use crate::config::{Config, Role};

/// Looks at everything that the settings name.
pub(super) fn examine(args: &StorageArgs, report: &mut Report) -> Result<()> {
    let config = match args.settings() {
        // which names the key, and says what to set instead
        Err(error) => return report.say("settings", Fail(format!("{error:#}"))),
        Ok(config) => config,
    };
    report.say("settings", Fine(summary(&config)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    report.say_all(folder::examine(&config.storage))?;
    report.say_all(runtime.block_on(database::examine(&config)))?;
    if let Some(bucket) = config.storage.bucket() {
        report.say_all(runtime.block_on(storage::examine(&bucket)))?;
    }
    report.say_all(residents::examine(&config))?;
    report.say("listen", runtime.block_on(listen::examine(config.server.listen)))
}

/// What kind of process the settings make.
fn summary(config: &Config) -> String {
    let role = match config.server.role {
        Role::All => "all",
        Role::Api => "api",
        Role::Worker => "worker",
    };
    let database = if config.storage.is_shared() { "PostgreSQL" } else { "SQLite" };
    let files = if config.storage.artifacts.is_empty() { "files in the folder" } else { "files in a bucket" };
    format!("can work together: role {role}, {database}, {files}")
}
