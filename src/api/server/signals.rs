//! The first signal asks the service to end, the second ends the process at once.

use anyhow::{Context, Result};
use tokio_util::sync::CancellationToken;

/// A token that the first SIGTERM or Ctrl-C cancels.
pub(super) fn stop_on_signal() -> Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut signals = Signals::listen().context("cannot listen to signals")?;
    let first = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("asked to stop: running attacks get some time; a second signal stops at once");
        first.cancel();
        signals.next().await;
        tracing::warn!("stopped at once");
        std::process::exit(1);
    });
    Ok(stop)
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> std::io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) {
        self.0.recv().await;
    }
}
