//! Asks an issuer for its keys (OpenID Connect Discovery 1.0), with bounds on whatever it may answer.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use reqwest::header::ACCEPT;
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::address;
use super::keys::{KeySet, Published};

/// Largest answer; real ones have a few kilobytes.
const MOST_BYTES: usize = 256 << 10;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(3);

/// Longest time from a question to the end of its answer.
const ANSWER: Duration = Duration::from_secs(5);

/// An issuer as something that can be asked.
#[derive(Debug)]
pub(super) struct Source {
    client: Client,
    issuer: String,
    discovery: Url,
}

/// What is of interest in the issuer's description of itself.
#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

impl Source {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// An address that cannot be used, or no certificates to check others with.
    pub fn new(issuer: &str) -> Result<Self> {
        let url = address::issuer(issuer).map_err(|why| anyhow!("access.oidc_issuer {issuer:?} {why}"))?;
        let discovery = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = Url::parse(&discovery)?;
        crate::tls::install();
        let mut client = Client::builder()
            .user_agent(concat!("segprobe/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(ANSWER);
        // what leaves the machine is never read without TLS; a proxy has no business on the loopback
        client = if address::is_loopback(&url) { client.no_proxy() } else { client.https_only(true) };
        let client = client.build().context("cannot set up the connection to the issuer")?;
        Ok(Self { client, issuer: issuer.into(), discovery })
    }

    /// The keys of now.
    ///
    /// # Errors
    /// No answer, one that is too slow, too large or of another form, or one of another issuer.
    pub async fn keys(&self) -> Result<KeySet> {
        let found: Discovery = self.ask(&self.discovery).await?;
        let (own, set) = (&found.issuer, &self.issuer);
        ensure!(own == set, "the issuer calls itself {own:?}, but access.oidc_issuer is {set:?}: set it to the former");
        let jwks = &found.jwks_uri;
        let jwks = address::parse(jwks).map_err(|why| anyhow!("the address of the issuer's keys, {jwks:?}, {why}"))?;
        let published: Published = self.ask(&jwks).await?;
        KeySet::of(published).with_context(|| format!("{jwks} has no key that signatures can be checked with"))
    }

    async fn ask<T: DeserializeOwned>(&self, url: &Url) -> Result<T> {
        let mut response = self.client.get(url.clone()).header(ACCEPT, "application/json").send().await?;
        let status = response.status();
        ensure!(status == StatusCode::OK, "{url} answered {status}, not 200");
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            ensure!(body.len() + chunk.len() <= MOST_BYTES, "{url} answered more than {} KiB", MOST_BYTES >> 10);
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).with_context(|| format!("{url} answered something else than was asked for"))
    }
}
