//! The `segprobe` program; everything it does is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match segprobe::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => segprobe::cli::report(&error),
    }
}
