//! `segprobe health`: whether a server on this machine lives, for container runtimes that ask by a command.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::settings_args::environment;
use crate::config::Config;
use crate::tls;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ask the server on this machine whether it lives; ends with 0 if it does.
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Settings in TOML that the server was started with.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What to ask; the port of the settings unless set.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// If there is no answer, or another one than 200.
pub fn run(args: &HealthArgs) -> Result<()> {
    let url = match &args.url {
        Some(url) => url.clone(),
        None => format!("http://{}/healthz", here(Config::load(args.config.as_deref(), environment())?.server.listen)),
    };
    tls::install();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let answer = client.get(&url).send().await.with_context(|| format!("no answer from {url}"))?;
        ensure!(answer.status().is_success(), "{url} answers {}", answer.status());
        Ok(())
    })
}

/// An address that is listened on, as it is reached from this machine.
pub(super) fn here(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_asked_on_this_machine() {
        assert_eq!(here("0.0.0.0:8080".parse().unwrap()).to_string(), "127.0.0.1:8080");
        assert_eq!(here("[::]:8080".parse().unwrap()).to_string(), "[::1]:8080");
        assert_eq!(here("10.0.0.1:80".parse().unwrap()).to_string(), "10.0.0.1:80");
    }

    #[test]
    fn nobody_there_is_an_error() {
        let args = HealthArgs { config: None, url: Some("http://127.0.0.1:9/healthz".into()) };
        assert!(run(&args).unwrap_err().to_string().contains("no answer from http://127.0.0.1:9/healthz"));
    }
}
