//! A service under test: its process, its data folder and what it said.

mod answer;
mod client;
mod collector;
mod events;
mod options;
pub mod pictures;
mod process;
mod submission;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

pub use answer::{Answer, blamed, text};
pub use client::Client;
pub use collector::{Collector, Span};
pub use events::{Event, EventStream};
pub use options::Options;
use process::Process;
pub use submission::Submission;

/// What a test answers.
pub type Checked = Result<()>;

/// A running service with a data folder of its own.
///
/// A test ends with [`Self::finish`]; if it does not get there, the service's log is printed. The process ends
/// with the test in any case.
pub struct Service {
    options: Options,
    folder: TempDir,
    process: Option<Process>,
    client: Client,
    finished: bool,
}

impl Service {
    /// Starts a service on an empty data folder.
    pub async fn start(options: Options) -> Result<Self> {
        Self::start_in(tempfile::tempdir()?, options).await
    }

    /// Starts a service that asks for keys, with an administrator's key for [`Self::client`].
    pub async fn start_with_keys(options: Options) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = create_key(&data_folder(&folder), &["--caller", "operator", "--scope", "admin"])?;
        let mut service = Self::start_in(folder, options.set("access.mode", "keys")).await?;
        service.client = service.client.with_key(&key);
        Ok(service)
    }

    async fn start_in(folder: TempDir, options: Options) -> Result<Self> {
        let client = Client::new()?;
        let mut service = Self { options, folder, process: None, client, finished: false };
        service.restart().await?;
        Ok(service)
    }

    /// Starts the process again on the same data folder, on another port. Ask for a new [`Self::client`].
    pub async fn restart(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the service is still running");
        let process = self.process.insert(Process::spawn(&self.options, &self.data(), &self.log_file())?);
        let base = process.listening().await?;
        self.client = self.client.at(&base);
        Ok(())
    }

    /// Speaks to the service.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Makes a key and answers its text.
    pub fn create_key(&self, arguments: &[&str]) -> Result<String> {
        create_key(&self.data(), arguments)
    }

    /// A client with a new key.
    pub fn client_with_key(&self, caller: &str, scope: &str) -> Result<Client> {
        Ok(self.client.with_key(&self.create_key(&["--caller", caller, "--scope", scope])?))
    }

    /// The process's number.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.process.as_ref().context("the service does not run")?.pid())
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        data_folder(&self.folder)
    }

    /// What all processes of this service wrote to standard error.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// Ends the process as a power failure would: `SIGKILL`, nothing is tidied up.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("the service does not run")?.kill()
    }

    /// Asks the process to end with `SIGTERM` and waits for it; answers how it ended and how long that took.
    pub async fn terminate(&mut self) -> Result<(ExitStatus, Duration)> {
        self.process.take().context("the service does not run")?.terminate().await
    }

    /// Checks what holds after every test: nothing panicked, and a service that still runs has no unfinished job.
    pub async fn finish(mut self) -> Checked {
        if self.process.is_some() {
            let left = self.client.get_json("/attacks?state=queued,running").await?;
            ensure!(left["items"] == serde_json::json!([]), "unfinished jobs were left: {left}");
        }
        let log = self.log();
        ensure!(!log.contains("panicked"), "the service panicked");
        self.finished = true;
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("stderr.log")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if !self.finished {
            eprintln!("---- the service's log ----\n{}---- end of the log ----", self.log());
        }
    }
}

fn data_folder(folder: &TempDir) -> PathBuf {
    folder.path().join("data")
}

/// Runs `segprobe` to its end.
pub fn segprobe(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(env!("CARGO_BIN_EXE_segprobe")).args(arguments).output()?)
}

fn create_key(data: &Path, arguments: &[&str]) -> Result<String> {
    let data = data.to_str().context("a temporary folder has a plain name")?;
    let output = segprobe(&[&["keys", "create", "--data", data], arguments].concat())?;
    let printed = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "keys create: {}", String::from_utf8_lossy(&output.stderr));
    Ok(printed.lines().last().context("keys create printed nothing")?.trim().to_owned())
}
