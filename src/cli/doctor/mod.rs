//! `segprobe doctor`: does it work on this machine, with this model, and with the settings of the service?
//!
//! The machine and one model are looked at always, what the service needs only where its settings are named. Nothing
//! is left behind: files and objects that try a store out are removed, and a database is only read.

mod database;
mod folder;
mod listen;
mod machine;
mod model;
mod report;
mod residents;
mod service;
mod storage;

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::model_args::ModelArgs;
use super::settings_args::StorageArgs;
use report::Report;

/// Check that this machine and a model are fit for work, and so is what the service needs if its settings are named.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    model: ModelArgs,
    /// Folder that results will be written to; the working directory unless a service is looked at.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    service: StorageArgs,
}

/// Runs the command: one line a check.
///
/// # Errors
/// If a check failed.
pub fn run(args: &DoctorArgs) -> Result<()> {
    let (mut report, service) = (Report::default(), args.service.are_given());
    report.say("version", machine::version())?;
    report.say("threads", machine::threads())?;
    // a service writes to its own folder, and often nowhere else
    if let Some(out) = args.out.as_deref().or((!service).then_some(Path::new("."))) {
        report.say("out", machine::writable(out))?;
    }
    model::examine(&args.model, &mut report)?;
    if service {
        service::examine(&args.service, &mut report)?;
    }
    report.end()
}
