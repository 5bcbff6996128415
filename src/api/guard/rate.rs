//! How many requests a minute one key, or one address where no keys are asked for, may make.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{ConnectInfo, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::refusal;
use crate::access::Principal;

/// Requests a minute that the key itself allows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance(pub Option<u32>);

type Limiter = DefaultKeyedRateLimiter<String>;

/// One limiter for each number of requests a minute that some key has.
#[derive(Debug)]
pub(super) struct Rates {
    default: u32,
    limiters: Mutex<BTreeMap<u32, Arc<Limiter>>>,
}

impl Rates {
    pub fn new(requests_per_minute: u32) -> Self {
        Self { default: requests_per_minute, limiters: Mutex::default() }
    }

    /// Counts a request; the seconds to wait if it is one too many.
    fn count(&self, who: &str, allowance: Option<u32>) -> Result<(), u64> {
        let limiter = self.limiter(allowance.unwrap_or(self.default).max(1));
        limiter.check_key(&who.to_owned()).map_err(|wait| {
            let seconds = wait.wait_time_from(DefaultClock::default().now()).as_secs_f64();
            seconds.ceil().max(1.0) as u64
        })
    }

    fn limiter(&self, requests_per_minute: u32) -> Arc<Limiter> {
        let mut limiters = self.lock();
        let most = NonZeroU32::new(requests_per_minute).unwrap_or(NonZeroU32::MIN);
        let new = || Arc::new(RateLimiter::keyed(Quota::per_minute(most)));
        limiters.entry(requests_per_minute).or_insert_with(new).clone()
    }

    /// Forgets those who have all their requests again.
    pub fn forget_idle(&self) {
        for limiter in self.lock().values() {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Arc<Limiter>>> {
        self.limiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a request through or says when to come again. Open paths have no [`Allowance`] and are not counted.
pub(super) async fn layer(State(rates): State<Arc<Rates>>, request: Request, next: Next) -> Response {
    let Some(Allowance(allowance)) = request.extensions().get().copied() else {
        return next.run(request).await;
    };
    match rates.count(&who(&request), allowance) {
        Ok(()) => next.run(request).await,
        Err(seconds) => refusal::rate_limited(seconds).into_response(),
    }
}

fn who(request: &Request) -> String {
    let key = request.extensions().get().and_then(|principal: &Principal| principal.key.clone());
    let address =
        || request.extensions().get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip().to_string());
    key.or_else(address).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_an_allowance_of_their_own() {
        let rates = Rates::new(2);
        assert_eq!([rates.count("a", None), rates.count("a", None)], [Ok(()), Ok(())]);
        let seconds = rates.count("a", None).unwrap_err();
        assert!((1..=30).contains(&seconds), "{seconds}");
        assert_eq!(rates.count("b", None), Ok(()));
    }

    #[test]
    fn a_key_may_have_another_number() {
        let rates = Rates::new(1);
        for _ in 0..5 {
            assert_eq!(rates.count("a", Some(5)), Ok(()));
        }
        assert!(rates.count("a", Some(5)).is_err());
    }

    #[test]
    fn who_has_used_nothing_up_is_forgotten() {
        let rates = Rates::new(60_000_000);
        rates.count("a", None).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1));
        rates.forget_idle();
        assert!(rates.limiter(60_000_000).is_empty());
    }
}
