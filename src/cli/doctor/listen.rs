//! The address to listen on: free, or taken by a server of ours that runs already.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::json;

use super::report::Finding::{self, Fail, Fine};
use crate::cli::health::here;
use crate::tls;

/// How long a server that has the address may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(5);

/// Takes the address for a moment; if it is taken, asks who has it.
pub(super) async fn examine(address: SocketAddr) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) => Fine(format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => match is_ours(address).await {
            true => Fine(format!("{address} is taken by a segprobe server that runs")),
            false => {
                Fail(format!("{address} is taken by another program: stop it, or set another port in server.listen"))
            }
        },
        Err(error) => {
            let advice = match error.kind() {
                ErrorKind::AddrNotAvailable => "this machine has no such address: set one of its own, or 0.0.0.0",
                ErrorKind::PermissionDenied => "set a port above 1023, or allow the service's user to take this one",
                _ => "set another address",
            };
            Fail(format!("{address} cannot be used ({error}): {advice}, in server.listen"))
        }
    }
}

/// Whether what answers at an address answers as our `/healthz`.
async fn is_ours(address: SocketAddr) -> bool {
    tls::install();
    let asked = async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let answer = client.get(format!("http://{}/healthz", here(address))).send().await?;
        answer.error_for_status()?.json::<serde_json::Value>().await
    };
    // no answer, or one that is no JSON: somebody else's
    asked.await.is_ok_and(|answer: serde_json::Value| answer == json!({"status": "ok"}))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;

    async fn answering(body: &'static str) -> Finding {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = Router::new().route("/healthz", get(move || async move { body }));
        let server = tokio::spawn(async move { axum::serve(listener, app).await });
        let finding = examine(address).await;
        server.abort();
        finding
    }

    #[tokio::test]
    async fn a_free_address_is_fine_and_stays_free() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        for _ in 0..2 {
            assert!(matches!(examine(free).await, Fine(text) if text.ends_with("is free")));
        }
    }

    #[tokio::test]
    async fn our_own_server_may_have_it_and_no_other() {
        assert!(matches!(answering(r#"{"status":"ok"}"#).await, Fine(text) if text.contains("segprobe server")));
        assert!(matches!(answering("hello").await, Fail(text) if text.contains("server.listen")));
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        // TEST-NET-1, which no machine has
        assert!(
            matches!(examine("192.0.2.1:8080".parse().unwrap()).await, Fail(text) if text.contains("no such address"))
        );
    }
}
