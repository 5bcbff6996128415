//! The `segprobe` program; everything it does is in the library.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    segprobe::cli::Cli::parse().run()
}
