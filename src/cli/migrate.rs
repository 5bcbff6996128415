//! `segprobe migrate`: the database's tables, before the servers of a new version start.

use std::io::{Write, stdout};

use anyhow::{Context, Result};
use clap::Args;

use super::settings_args::StorageArgs;
use crate::jobs::store::OpenedStore;

/// Bring the tables of the database up to date and end. A server does the same when it starts.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    storage: StorageArgs,
}

/// Runs the command.
///
/// # Errors
/// A database that cannot be reached, or that is none of ours.
pub fn run(args: &MigrateArgs) -> Result<()> {
    let storage = args.storage.settings()?.storage;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(OpenedStore::open(&storage)).context("cannot open the job store")?;
    let what = if storage.is_shared() { "PostgreSQL" } else { "SQLite" };
    Ok(writeln!(stdout(), "the tables in {what} are up to date")?)
}
