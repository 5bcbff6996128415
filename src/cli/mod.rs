//! The command line: thin wrappers over the rest.

mod attack;
mod attack_args;
mod evaluate;
pub mod model_args;
mod train;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Stress-tests text-prompted medical image segmentation.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Attack(attack::OneImageArgs),
    Evaluate(evaluate::EvaluateArgs),
    Train(train::TrainArgs),
    Phantoms { out: std::path::PathBuf, count: u64 },
}

impl Cli {
    /// Runs the command that was asked for.
    ///
    /// # Errors
    /// What the command could not do, in a sentence that says what to change.
    pub fn run(&self) -> Result<()> {
        match &self.command {
            Command::Attack(args) => attack::run(args),
            Command::Evaluate(args) => evaluate::run(args),
            Command::Train(args) => train::run(args),
            Command::Phantoms { out, count } => {
                for kind in crate::phantom::Kind::ALL {
                    crate::phantom::write_folder(kind, &out.join(kind.name()), 1000..1000 + count, (320, 280))?;
                }
                Ok(())
            }
        }
    }
}
