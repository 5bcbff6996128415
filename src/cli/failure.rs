//! How a failed command ends: what went wrong, and each cause, on a line of its own.

use std::io::ErrorKind;
use std::process::ExitCode;

use anyhow::Error;

use crate::acceptance::{Acceptance, Judgement};
use crate::report::acceptance::sentence;

/// A model that criteria do not accept: nothing went wrong, and a pipeline has to stop all the same.
#[derive(Debug, thiserror::Error)]
#[error("{sentence}")]
pub struct NotAccepted {
    code: u8,
    sentence: String,
}

impl NotAccepted {
    /// `None` for a model that is accepted.
    pub fn of(acceptance: &Acceptance) -> Option<Self> {
        let code = match acceptance.judgement {
            Judgement::Accepted => return None,
            Judgement::Rejected => 3,
            Judgement::Undecided => 4,
        };
        Some(Self { code, sentence: sentence(acceptance) })
    }
}

/// Prints an error to standard error and answers the exit code: 1, or that of a model that is not accepted.
///
/// A reader of the output that has seen enough (`segprobe models | head`) is no failure.
pub fn report(error: &Error) -> ExitCode {
    let pipe = |cause: &std::io::Error| cause.kind() == ErrorKind::BrokenPipe;
    if error.downcast_ref::<std::io::Error>().is_some_and(pipe) {
        return ExitCode::SUCCESS;
    }
    if let Some(NotAccepted { code, sentence }) = error.downcast_ref() {
        eprintln!("{sentence}");
        return ExitCode::from(*code);
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
