//! The process of a service: start, signals, end.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A loaded machine may be slow to start a model; a service that takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running `segprobe serve`, which ends when this is dropped.
pub struct Process {
    child: Child,
    address: Option<oneshot::Receiver<String>>,
}

impl Process {
    /// Starts the program on a free loopback port; its standard error is appended to `log`.
    pub fn spawn(options: &super::Options, data: &Path, log: &Path) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_segprobe"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        options.apply(&mut command);
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let output = child.stdout.take().context("the output is piped")?;
        let (sender, address) = oneshot::channel();
        // reads to the end, so that the service can never block on a full pipe
        std::thread::spawn(move || {
            let mut sender = Some(sender);
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if let Some(base) = line.strip_prefix("listening on ")
                    && let Some(sender) = sender.take()
                {
                    let _ = sender.send(base.to_owned());
                }
            }
        });
        Ok(Self { child, address: Some(address) })
    }

    /// Waits until the service listens and answers its address, `http://127.0.0.1:PORT`.
    pub async fn listening(&mut self) -> Result<String> {
        let address = self.address.take().context("the address was asked for before")?;
        match timeout(PATIENCE, address).await.context("the service did not say where it listens")? {
            Ok(base) => Ok(base.trim_end_matches('/').to_owned()),
            Err(_) => bail!("the service ended before it listened: {}", self.child.wait()?),
        }
    }

    /// The process's number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the process at once.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends `SIGTERM` and waits for the end.
    pub async fn terminate(mut self) -> Result<(ExitStatus, Duration)> {
        let began = Instant::now();
        let sent = Command::new("sh").args(["-c", "kill -TERM \"$0\"", &self.pid().to_string()]).status()?;
        ensure!(sent.success(), "the signal could not be sent");
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, began.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("the service did not end within {PATIENCE:?} of SIGTERM")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // both fail only for a process that has ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
