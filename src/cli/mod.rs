//! The command line: thin wrappers over the rest.

mod attack;
mod attack_args;
mod bench;
mod cases;
mod config;
mod corruption_args;
mod defence_arg;
mod doctor;
mod evaluate;
mod failure;
mod health;
mod keys;
mod migrate;
pub mod model_args;
mod models;
mod openapi;
mod phantoms;
mod prompt_args;
mod segment;
mod serve;
mod settings_args;
mod train;
mod transfer_args;
mod universal;

use anyhow::Result;
use clap::{Parser, Subcommand};

pub use failure::report;

/// Stress-tests text-prompted medical image segmentation.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Attack(Box<attack::OneImageArgs>),
    Evaluate(Box<evaluate::EvaluateArgs>),
    Segment(Box<segment::SegmentArgs>),
    Models(models::ModelsArgs),
    Openapi(openapi::OpenapiArgs),
    Doctor(Box<doctor::DoctorArgs>),
    Bench(Box<bench::BenchArgs>),
    Phantoms(phantoms::PhantomsArgs),
    Train(Box<train::TrainArgs>),
    Universal(Box<universal::UniversalArgs>),
    Keys(keys::KeysArgs),
    Migrate(migrate::MigrateArgs),
    Health(health::HealthArgs),
    Serve(Box<serve::ServeArgs>),
    Config(Box<config::ConfigArgs>),
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
            Command::Segment(args) => segment::run(args),
            Command::Models(args) => models::run(args),
            Command::Openapi(args) => openapi::run(args),
            Command::Doctor(args) => doctor::run(args),
            Command::Bench(args) => bench::run(args),
            Command::Phantoms(args) => phantoms::run(args),
            Command::Train(args) => train::run(args),
            Command::Universal(args) => universal::run(args),
            Command::Keys(args) => keys::run(args),
            Command::Migrate(args) => migrate::run(args),
            Command::Health(args) => health::run(args),
            Command::Serve(args) => serve::run(args),
            Command::Config(args) => config::run(args),
        }
    }
}
