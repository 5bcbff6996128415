//! Bearer tokens (JWT) of an OpenID Connect issuer: whoever signs in there may do here what their roles mean.
//!
//! A token is checked here alone, with the issuer's public keys: signature, issuer, audience and times. Its subject
//! is then a caller like that of a key. The issuer is asked for its keys beside the requests, so it may be away for
//! a while; keys of this service do not depend on it at all.

pub(crate) mod address;
mod claims;
mod fetch;
mod keyring;
mod keys;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use anyhow::Result;
use async_trait::async_trait;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Admission, Authority, Principal, Refusal};
use crate::config::AccessConfig;
use claims::Roles;
use fetch::Source;
use keyring::{Keyring, Timing};

/// Longest token in bytes; those with many groups have a few kilobytes.
const LONGEST_TOKEN: usize = 16 << 10;

/// What every token has to say.
const NEEDED_CLAIMS: [&str; 4] = ["exp", "iss", "aud", "sub"];

/// Knows the tokens of an issuer.
#[derive(Debug)]
pub struct Issuer {
    name: String,
    audience: String,
    leeway_seconds: u64,
    roles: Roles,
    keyring: Keyring,
}

impl Issuer {
    /// The issuer of the settings; asks it nothing yet, so let [`Self::keep_fresh`] run.
    ///
    /// # Errors
    /// An issuer that cannot be asked.
    pub fn new(settings: &AccessConfig) -> Result<Self> {
        Self::with_timing(settings, Timing::default())
    }

    fn with_timing(settings: &AccessConfig, timing: Timing) -> Result<Self> {
        signature::install();
        Ok(Self {
            name: settings.oidc_issuer.clone(),
            audience: settings.oidc_audience.clone(),
            leeway_seconds: settings.oidc_leeway_seconds,
            roles: Roles::of(settings),
            keyring: Keyring::new(Source::new(&settings.oidc_issuer)?, timing),
        })
    }

    /// Fetches the issuer's keys, again and again until the shutdown.
    pub async fn keep_fresh(&self, shutdown: CancellationToken) {
        self.keyring.keep_fresh(shutdown).await;
    }

    /// Whose token it is: good now, for this service, with a role that means something here.
    async fn whose(&self, token: &str) -> Result<Principal, Refusal> {
        if token.len() > LONGEST_TOKEN {
            return Err(Refusal::Token("is too long"));
        }
        // fails for `none` and for algorithms that nobody here knows
        let header = decode_header(token).map_err(|_| Refusal::Token("cannot be read, or is not signed"))?;
        // extensions that have to be understood are not
        if !signature::is_accepted(header.alg) || header.crit.is_some() {
            return Err(Refusal::Token("is signed in a way that is not accepted"));
        }
        let key = self.key(&header).await?;
        let claims = self.proven_claims(token, header.alg, &key)?;
        let caller = claims::caller(&self.name, &claims).ok_or(Refusal::Token("has no usable subject"))?;
        let Some(scope) = self.roles.scope(&claims) else {
            tracing::info!(caller, "a token without a role that means something here");
            return Err(Refusal::NoRole);
        };
        Ok(Principal { key: Some(caller.clone()), caller, scope, max_unfinished: None })
    }

    /// The key that a token names, fetched if it is not known.
    async fn key(&self, header: &Header) -> Result<DecodingKey, Refusal> {
        let find = || self.keyring.keys().map(|keys| keys.find(header).cloned());
        let mut found = find();
        if let Some(None) = found {
            self.keyring.refresh().await;
            found = find();
        }
        let known = found.ok_or_else(|| Refusal::IssuerAway { retry_seconds: self.keyring.retry_seconds() })?;
        known.ok_or(Refusal::Token("is signed with a key that its issuer does not have"))
    }

    /// What a token says, if it is signed with the key and holds here and now.
    fn proven_claims(&self, token: &str, algorithm: Algorithm, key: &DecodingKey) -> Result<Value, Refusal> {
        let mut validation = Validation::new(algorithm);
        validation.set_required_spec_claims(&NEEDED_CLAIMS);
        validation.set_issuer(&[&self.name]);
        validation.set_audience(&[&self.audience]);
        validation.validate_nbf = true;
        validation.leeway = self.leeway_seconds;
        let claims: Value = decode(token, key, &validation).map_err(|error| Refusal::Token(why(error.kind())))?.claims;
        // the crate takes a list of issuers too, if one of them is the right one
        match claims["iss"] == self.name.as_str() {
            true => Ok(claims),
            false => Err(Refusal::Token("is of another issuer")),
        }
    }
}

/// What is told of a token that is not good: after its signature, nothing that its holder does not know.
fn why(error: &ErrorKind) -> &'static str {
    match error {
        ErrorKind::ExpiredSignature => "has expired",
        ErrorKind::ImmatureSignature => "is not valid yet",
        ErrorKind::InvalidAudience => "is for another audience",
        ErrorKind::InvalidIssuer => "is of another issuer",
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => "lacks one of exp, iss, aud and sub",
        ErrorKind::Json(_) | ErrorKind::Base64(_) | ErrorKind::Utf8(_) | ErrorKind::InvalidToken => "cannot be read",
        _ => "has no valid signature",
    }
}

/// Knows keys, and beside them the tokens of an issuer.
#[derive(Debug)]
pub struct KeysAndTokens {
    keys: Arc<dyn Authority>,
    issuer: Arc<Issuer>,
}

impl KeysAndTokens {
    /// Both of them.
    pub fn new(keys: Arc<dyn Authority>, issuer: Arc<Issuer>) -> Self {
        Self { keys, issuer }
    }
}

#[async_trait]
impl Authority for KeysAndTokens {
    async fn admit(&self, credential: &str) -> Result<Admission, Refusal> {
        // a token has three parts with dots between them, a key has no dot
        if !credential.contains('.') {
            return self.keys.admit(credential).await;
        }
        Ok(Admission { principal: self.issuer.whose(credential).await?, requests_per_minute: None })
    }
}
