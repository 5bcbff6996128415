//! The issuer's keys as they are known here: fetched anew by age, and when a token names one that is not known.
//!
//! Anybody can make up a token that names an unknown key, so questions to the issuer have a pause between them. An
//! issuer that does not answer changes nothing for a while: the keys that are known go on to be used, but not for
//! ever, since a key that was taken back for good reason would stay good as long as somebody keeps the issuer away.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use super::fetch::Source;
use super::keys::KeySet;
use crate::telemetry::names;

/// When keys are fetched, and how long they are used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    /// Age at which keys are fetched anew.
    pub refresh: Duration,
    /// Shortest time between two questions.
    pub pause: Duration,
    /// Age from which on keys are not used any more.
    pub keep: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { refresh: seconds(300), pause: seconds(10), keep: seconds(3600) }
    }
}

/// The keys, and what became of the last question.
#[derive(Debug)]
pub(super) struct Keyring {
    source: Source,
    timing: Timing,
    held: RwLock<Option<Held>>,
    /// Held while a question is under way: others wait for its answer instead of asking again.
    last: Mutex<Attempt>,
}

#[derive(Debug)]
struct Held {
    keys: Arc<KeySet>,
    since: Instant,
}

#[derive(Debug, Default)]
struct Attempt {
    at: Option<Instant>,
    failure: Option<String>,
}

impl Keyring {
    pub fn new(source: Source, timing: Timing) -> Self {
        Self { source, timing, held: RwLock::default(), last: Mutex::default() }
    }

    /// The keys to check tokens with; `None` if there are none that are new enough.
    pub fn keys(&self) -> Option<Arc<KeySet>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().filter(|held| held.since.elapsed() < self.timing.keep).map(|held| held.keys.clone())
    }

    /// Asks the issuer, unless that was done a moment ago; whether the last answer was good.
    pub async fn refresh(&self) -> bool {
        let mut last = self.last.lock().await;
        if last.at.is_some_and(|at| at.elapsed() < self.timing.pause) {
            return last.failure.is_none();
        }
        // now too, since a client that leaves ends this in the middle
        last.at = Some(Instant::now());
        let fetched = self.source.keys().await;
        last.at = Some(Instant::now());
        let outcome = if fetched.is_ok() { "succeeded" } else { "failed" };
        metrics::counter!(names::OIDC_FETCHES, "outcome" => outcome).increment(1);
        match fetched {
            Ok(keys) => self.take(keys, last.failure.take().is_some()),
            Err(error) => {
                let failure = format!("{error:#}");
                if last.failure.as_ref() != Some(&failure) {
                    let tokens = if self.keys().is_some() { "checked with older keys" } else { "answered 503" };
                    tracing::warn!(error = failure, tokens, "the keys of the OpenID Connect issuer cannot be fetched");
                }
                last.failure = Some(failure);
            }
        }
        self.report();
        last.failure.is_none()
    }

    fn take(&self, keys: KeySet, had_failed: bool) {
        let number = keys.len();
        let new = Held { keys: Arc::new(keys), since: Instant::now() };
        let before = self.held.write().unwrap_or_else(PoisonError::into_inner).replace(new);
        if had_failed || before.is_none() {
            tracing::info!(keys = number, "the OpenID Connect issuer answers: its tokens are accepted");
        }
    }

    fn report(&self) {
        metrics::gauge!(names::OIDC_READY).set(if self.keys().is_some() { 1.0 } else { 0.0 });
    }

    /// Keeps the keys fresh until the shutdown.
    pub async fn keep_fresh(&self, shutdown: CancellationToken) {
        self.report();
        while shutdown.run_until_cancelled(self.refresh_and_wait()).await.is_some() {}
    }

    async fn refresh_and_wait(&self) {
        let wait = if self.refresh().await { self.timing.refresh } else { self.timing.pause };
        tokio::time::sleep(wait).await;
    }

    /// Seconds after which another question may have been answered.
    pub fn retry_seconds(&self) -> u64 {
        self.timing.pause.as_secs().max(1)
    }
}
