//! How a service under test is set up.

use std::process::Command;

/// Settings and models of a service; the rest is as the program has it.
#[derive(Debug, Clone)]
pub struct Options {
    environment: Vec<(String, String)>,
    tiny_model: bool,
    further: Vec<String>,
}

impl Options {
    /// Two workers, the tiny model, and no limit on requests that a test could meet.
    pub fn new() -> Self {
        Self { environment: vec![], tiny_model: true, further: vec![] }
            .set("queue.workers", 2)
            .set("access.requests_per_minute", 1_000_000)
    }

    /// Sets a variable of the process that is no setting.
    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets what the configuration file calls `section.name`.
    pub fn set(mut self, setting: &str, value: impl ToString) -> Self {
        let name = format!("SEGPROBE_{}", setting.replace('.', "__").to_uppercase());
        self.environment.push((name, value.to_string()));
        self
    }

    /// Uses the demo model, which knows what lungs are, instead of the tiny one.
    pub fn with_demo_model(mut self) -> Self {
        self.tiny_model = false;
        self
    }

    /// Serves the tiny model once more under another name.
    pub fn and_tiny_model(mut self, name: &str) -> Self {
        self.further.push(name.to_owned());
        self
    }

    /// Gives a command the settings, and no others that happen to be in the environment.
    pub(super) fn apply(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("SEGPROBE_") || text.starts_with("OTEL_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().cloned());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parity/tiny");
        let first = self.tiny_model.then_some("tiny");
        for name in first.into_iter().chain(self.further.iter().map(String::as_str)) {
            command.args(["--model", &format!("{name}={folder}")]);
        }
    }
}
