//! Which addresses keys may come from: whoever can change them on the way can sign any token.

use std::net::IpAddr;

use reqwest::Url;

/// Longest issuer in bytes; it is a part of the names of callers.
const LONGEST_ISSUER: usize = 255;

/// The address of an issuer.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(crate) fn issuer(text: &str) -> Result<Url, &'static str> {
    let url = parse(text)?;
    if text.len() > LONGEST_ISSUER || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("is no issuer: it has at most 255 visible ASCII characters");
    }
    match url.query() {
        None => Ok(url),
        Some(_) => Err("is no issuer: an issuer has no query"),
    }
}

/// An address that can be asked: https, or http on this machine's loopback.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub(super) fn parse(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is no address: write https://host/path")?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&url) => {}
        _ => return Err("cannot be trusted: write https:// (http:// only for this machine's loopback)"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("cannot be used: it must hold no user and no password");
    }
    match url.fragment() {
        None => Ok(url),
        Some(_) => Err("cannot be used: it must have no part after a #"),
    }
}

/// Whether an address cannot leave this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let number: Result<IpAddr, _> = host.trim_start_matches('[').trim_end_matches(']').parse();
    host == "localhost" || number.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_over_tls_or_from_this_machine() {
        let good = ["https://sso.example.org", "https://a.example/realms/x/", "http://localhost:1", "http://[::1]:2/a"];
        for text in good.into_iter().chain(["http://127.0.0.1:8080"]) {
            assert!(issuer(text).is_ok(), "{text}");
        }
        let bad = ["", "sso.example.org", "http://sso.example.org", "http://localhost.example.org", "file:///keys"];
        let odd =
            ["https://a:b@example.org", "https://example.org/#x", "https://example.org/?x", "https://example.org/ä"];
        for text in bad.into_iter().chain(odd) {
            assert!(issuer(text).is_err(), "{text}");
        }
        assert!(issuer(&format!("https://example.org/{}", "x".repeat(255))).is_err());
    }
}
