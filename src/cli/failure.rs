//! How a failed command ends: what went wrong, and each cause, on a line of its own.

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Error;

/// Prints an error to standard error and answers the exit code, which is 1.
///
/// A reader of the output that has seen enough (`segprobe models | head`) is no failure.
pub fn report(error: &Error) -> ExitCode {
    let pipe = |cause: &std::io::Error| cause.kind() == ErrorKind::BrokenPipe;
    if error.downcast_ref::<std::io::Error>().is_some_and(pipe) {
        return ExitCode::SUCCESS;
    }
    let lines = lines(error);
    eprintln!("error: {}", lines.join("\n  caused by: "));
    ExitCode::FAILURE
}

/// The message and its causes, less those that the line before them already says.
fn lines(error: &Error) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        if lines.last().is_none_or(|last| !last.contains(&text)) {
            lines.push(text);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_one_line_and_said_once() {
        let cause = std::io::Error::other("disk\n  on fire");
        let error = Error::new(cause).context("cannot read a: disk on fire").context("--model");
        assert_eq!(lines(&error), ["--model", "cannot read a: disk on fire"]);
    }
}
