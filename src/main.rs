//! The `segprobe` program; everything it does is in the library.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    #[cfg(unix)]
    start_again_in_a_better_environment();
    match segprobe::cli::Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => segprobe::cli::report(&error),
    }
}

/// Replaces this process by itself with a better environment for tensors, unless it has been chosen already.
///
/// The tensor library's helper threads for elementwise operations wait in a busy loop and so take most of a small
/// machine from our own kernels; and weights on small memory pages cost a part of a step in address translation, which the
/// C library's allocator avoids if told to. It is also told to give every large block a mapping of its own, so that what
/// loading leaves behind goes back to the system. All of it is read from the environment only, at the start, and a process
/// cannot safely change its own.
#[cfg(unix)]
fn start_again_in_a_better_environment() {
    use std::os::unix::process::CommandExt;

    const THREADS: &str = "CANDLE_NUM_THREADS";
    const ALLOCATOR: &str = "GLIBC_TUNABLES";
    const SETTINGS: &str =
        "glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4194304:glibc.malloc.trim_threshold=268435456";
    if std::env::var_os(THREADS).is_some() {
        return;
    }
    if let Ok(program) = std::env::current_exe() {
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_else(|| program.clone().into());
        let allocator = std::env::var_os(ALLOCATOR).unwrap_or_else(|| SETTINGS.into());
        let mut again = std::process::Command::new(program);
        // answers only if it failed; the program then goes on, slower
        let _ = again.arg0(name).args(arguments).env(THREADS, "1").env(ALLOCATOR, allocator).exec();
    }
}
