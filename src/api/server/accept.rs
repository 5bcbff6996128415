//! Accepts connections and ends them.
//!
//! `axum::serve` has no time limits, so a few clients that send one byte a minute could hold every connection
//! (Slowloris). Here a client has to send the head of its request in time, which also ends idle connections, and to
//! keep reading its answer; bodies are the business of the guard's deadline. HTTP/1.1 only: HTTP/2 without TLS is
//! spoken by no browser.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::stall::StallLimit;

/// Connections at once; more wait in the operating system's queue. Below the 1024 files that a process may usually
/// open, of which the store and the artifacts need some.
const MOST_CONNECTIONS: usize = 800;

/// How long to wait after the operating system could give no connection: it may be out of files for a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long clients are waited for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// For the head of a request, from the end of the one before.
    pub head: Duration,
    /// For the client to take any part of an answer.
    pub stall: Duration,
    /// For answers under way, on shutdown.
    pub drain: Duration,
}

impl Patience {
    /// Half a minute for everything, less for heads if requests as a whole get less.
    pub fn new(request: Duration, drain: Duration) -> Self {
        let usual = Duration::from_secs(30);
        Self { head: usual.min(request), stall: usual, drain }
    }
}

/// Answers requests until `stop` is cancelled and those under way are answered.
pub(super) async fn serve(listener: TcpListener, app: Router, patience: Patience, stop: CancellationToken) {
    let connections = GracefulShutdown::new();
    let seats = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    while let Some((stream, peer, seat)) = stop.run_until_cancelled(accept(&listener, &seats)).await {
        let connection = converse(stream, peer, app.clone(), patience, connections.watcher());
        tokio::spawn(async move {
            connection.await;
            drop(seat);
        });
    }
    drop(listener);
    if tokio::time::timeout(patience.drain, connections.shutdown()).await.is_err() {
        tracing::warn!("some answers were not finished in time and are cut off");
    }
}

/// The next connection, once there is a seat for it.
async fn accept(listener: &TcpListener, seats: &Arc<Semaphore>) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
    let seat = seats.clone().acquire_owned().await.expect("nobody closes the semaphore");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, seat),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, peer: SocketAddr, app: Router, patience: Patience, watcher: Watcher) {
    // Progress events are small and should not wait for more to send; without it they are only later.
    let _ = stream.set_nodelay(true);
    let answer = move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        app.clone().oneshot(request.map(Body::new))
    };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.head)
        .serve_connection(TokioIo::new(StallLimit::new(stream, patience.stall)), service_fn(answer));
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%peer, %error, "a connection ended early");
    }
}
