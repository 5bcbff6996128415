//! Headers with which a client says how a submission is to be treated.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::problem::Problem;
use crate::config::ServerConfig;

const PREFER: HeaderName = HeaderName::from_static("prefer");
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const MOST_KEY_CHARACTERS: usize = 255;

/// How long to wait for the end of a job (`Prefer: wait`, RFC 7240).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    seconds: u64,
}

impl Wait {
    /// What the client asks for, at most what the settings allow. As the RFC has it, a preference that cannot be
    /// understood is none.
    pub fn of(headers: &HeaderMap, server: &ServerConfig) -> Option<Self> {
        let values = headers.get_all(PREFER).iter().filter_map(|value| value.to_str().ok());
        let seconds = values.flat_map(|value| value.split(',')).find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u64>().ok())?
        })?;
        Some(Self { seconds: seconds.min(server.max_wait_seconds) })
    }

    /// The longest time.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// What the answer says.
    pub fn applied(self) -> (HeaderName, HeaderValue) {
        let value = HeaderValue::try_from(format!("wait={}", self.seconds)).expect("digits are visible ASCII");
        (PREFERENCE_APPLIED, value)
    }
}

/// The client's name for this request, under which it may be sent again without making a second job.
///
/// # Errors
/// A key that is empty, too long or not visible ASCII, or several of them.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = values.next() else { return Ok(None) };
    let visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
    if values.next().is_some() || !visible || !(1..=MOST_KEY_CHARACTERS).contains(&key.len()) {
        let detail = format!("send one key of 1 to {MOST_KEY_CHARACTERS} visible ASCII characters");
        return Err(Problem::header("Idempotency-Key", detail));
    }
    Ok(key.to_str().ok().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), HeaderValue::from_bytes(value.as_bytes()).unwrap())).collect()
    }

    fn seconds(values: &[&str]) -> Option<u64> {
        Wait::of(&headers(PREFER, values), &ServerConfig::default()).map(|wait| wait.seconds)
    }

    #[test]
    fn a_wait_is_found_among_other_preferences_and_capped() {
        assert_eq!(seconds(&["wait=5"]), Some(5));
        assert_eq!(seconds(&["respond-async", "handling=strict, Wait = \"7\"; x=1"]), Some(7));
        assert_eq!(seconds(&["wait=999999"]), Some(ServerConfig::default().max_wait_seconds));
        assert_eq!(seconds(&[]), None);
    }

    #[test]
    fn a_wait_that_cannot_be_understood_is_none() {
        for value in ["wait", "wait=", "wait=-1", "wait=soon", "await=5"] {
            assert_eq!(seconds(&[value]), None, "{value}");
        }
    }

    #[test]
    fn only_one_visible_key_is_accepted() {
        let key = |values: &[&str]| idempotency_key(&headers(IDEMPOTENCY_KEY, values));
        let longest = "x".repeat(255);
        assert_eq!(key(&[]).unwrap(), None);
        assert_eq!(key(&[&longest]).unwrap().as_deref(), Some(longest.as_str()));
        for wrong in [&[""][..], &["two words"], &["\u{fc}"], &["a", "b"], &[&"x".repeat(256)]] {
            assert!(key(wrong).is_err(), "{wrong:?}");
        }
    }
}
