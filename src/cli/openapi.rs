//! `segprobe openapi`: the description of the HTTP API.

use std::io::{Write, stdout};

use anyhow::Result;
use clap::Args;

use crate::api::document;

/// Print the OpenAPI document of the HTTP service.
#[derive(Debug, Args)]
pub struct OpenapiArgs {}

/// Runs the command.
///
/// # Errors
/// A standard output that cannot be written.
pub fn run(_: &OpenapiArgs) -> Result<()> {
    writeln!(stdout().lock(), "{}", document().to_pretty_json()?)?;
    Ok(())
}
