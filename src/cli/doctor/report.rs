//! What checks find, one line each, and whether anything failed.

use std::io::{Write, stdout};

use anyhow::{Result, bail};

/// How one check went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Finding {
    /// What was found.
    Fine(String),
    /// What may be wrong, and what to do if it is.
    Warn(String),
    /// What is wrong, and what to do.
    Fail(String),
}

/// Prints findings as they come and counts those that failed.
#[derive(Debug, Default)]
pub(super) struct Report {
    failed: usize,
}

impl Report {
    /// Prints the line of a check.
    pub fn say(&mut self, check: &str, finding: Finding) -> Result<()> {
        let (mark, text) = match finding {
            Finding::Fine(text) => ("ok  ", text),
            Finding::Warn(text) => ("warn", text),
            Finding::Fail(text) => {
                self.failed += 1;
                ("FAIL", text)
            }
        };
        Ok(writeln!(stdout(), "{mark}  {check:<10} {text}")?)
    }

    /// Prints the lines of several checks.
    pub fn say_all(&mut self, findings: impl IntoIterator<Item = (&'static str, Finding)>) -> Result<()> {
        findings.into_iter().try_for_each(|(check, finding)| self.say(check, finding))
    }

    /// Fails if a check failed.
    pub fn end(self) -> Result<()> {
        match self.failed {
            0 => Ok(()),
            1 => bail!("1 check failed"),
            n => bail!("{n} checks failed"),
        }
    }
}
