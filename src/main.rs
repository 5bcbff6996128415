//! The `segprobe` program; everything it does is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    #[cfg(unix)]
    start_again_without_busy_threads();
    match segprobe::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => segprobe::cli::report(&error),
    }
}

/// Replaces this process by itself with `CANDLE_NUM_THREADS=1`, unless the variable is set.
///
/// The tensor library's helper threads for elementwise operations wait in a busy loop and so take
/// most of a small machine from our own kernels. Their number is read from the environment only,
/// and a process cannot safely change its own.
#[cfg(unix)]
fn start_again_without_busy_threads() {
    use std::os::unix::process::CommandExt;

    const THREADS: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(THREADS).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into());
        // answers only if it failed; the program then goes on, slower
        let _ = std::process::Command::new(program).arg0(name).args(arguments).env(THREADS, "1").exec();
    }
}
