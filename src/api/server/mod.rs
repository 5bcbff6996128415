//! The service as a process: from its settings to the last flushed line.
//!
//! Order of the end: a signal cancels one token; from then on the service is not ready, accepts no connection, ends
//! event streams, and workers claim nothing. Running attacks get `server.shutdown_grace_seconds`, then go back to the
//! queue. The process ends when both connections and workers have.

mod accept;
mod assemble;
mod folder;
mod signals;
mod stall;
#[cfg(test)]
mod tests;
mod vitals;

use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::guard::Guard;
use crate::access::Authority;
use crate::access::audit::AuditLog;
use crate::config::{AccessMode, Config};
use crate::telemetry::Metrics;
use crate::telemetry::metrics::UPKEEP_EVERY;
use accept::Patience;
use folder::DataFolder;

/// Seconds that answers under way get on shutdown beyond those that attacks get.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// What the rest of the program brings to the server.
pub(crate) struct Parts {
    /// All routes, without the guard.
    pub routes: Router,
    /// Knows the keys, and the tokens of an issuer if there is one.
    pub authority: Arc<dyn Authority>,
    /// Ends when every running attack has ended or was handed back; not before `stop` is cancelled.
    pub work: BoxFuture<'static, ()>,
}

/// Serves until the process is asked to stop.
///
/// # Errors
/// A data folder, address or model that cannot be used.
pub async fn serve(config: Config) -> Result<()> {
    let stop = signals::stop_on_signal()?;
    let folder = DataFolder::open(&config.storage.folder)?;
    // Before the models are loaded: an address that is taken shows at once.
    let listen = config.server.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("server.listen: cannot use {listen}"))?;
    let metrics = Metrics::install()?;
    let config = Arc::new(config);
    let parts = assemble::assemble(config.clone(), metrics.clone(), stop.clone()).await?;
    run(&config, (folder, listener), parts, metrics, stop).await
}

/// Serves on a listener until `stop` is cancelled and everything has ended.
async fn run(
    config: &Config,
    (folder, listener): (DataFolder, TcpListener),
    parts: Parts,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<()> {
    warn_if_open(config);
    let audit = folder.audit_log()?;
    let guard = Guard::new(config, parts.authority, audit.clone());
    let upkeep = tokio::spawn(keep_up(metrics, guard.clone()));
    let address = listener.local_addr()?;
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "serving");
    writeln!(stdout(), "listening on http://{address}")?;
    stdout().flush()?;
    let grace = Duration::from_secs(config.server.shutdown_grace_seconds);
    let patience = Patience::new(Duration::from_secs(config.server.request_timeout_seconds), grace + LAST_ANSWERS);
    let connections = accept::serve(listener, guard.around(parts.routes), patience, stop);
    tokio::join!(connections, parts.work);
    upkeep.abort();
    flush(&audit);
    tracing::info!("stopped");
    Ok(())
}

fn warn_if_open(config: &Config) {
    let listen = config.server.listen;
    if config.access.mode == AccessMode::OpenToEverybody && !listen.ip().is_loopback() {
        tracing::warn!(%listen, "EVERYBODY who can connect may do everything: access.mode is open_to_everybody");
    }
}

async fn keep_up(metrics: Metrics, guard: Guard) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        metrics.keep_up();
        guard.forget_idle();
    }
}

fn flush(audit: &AuditLog) {
    if let Err(error) = audit.flush() {
        tracing::error!(%error, "the audit log cannot be flushed");
    }
}
