//! The text of a key, `spk_<id>_<secret>`: 12 hexadecimal digits that name it and 64 that prove it.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::jobs::store::StoreError;

/// Lets scanners for leaked secrets find keys of this program.
const PREFIX: &str = "spk";
/// 48 bits: names that nobody has to guess, only to tell apart.
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;

/// The text of a key. Only [`Self::reveal`] shows its secret.
#[derive(Clone)]
pub struct KeyText {
    id: String,
    secret: String,
}

impl KeyText {
    /// A text that nobody else has.
    pub(crate) fn random() -> Result<Self, StoreError> {
        let mut bytes = [0; ID_BYTES + SECRET_BYTES];
        getrandom::fill(&mut bytes)
            .map_err(|error| StoreError::Unavailable(format!("the operating system has no random numbers: {error}")))?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        Ok(Self { id: hex(id), secret: hex(secret) })
    }

    /// The text that somebody shows; `None` if it is not one of a key.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('_');
        let (prefix, id, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let is_hex = |text: &str, bytes| {
            text.len() == 2 * bytes && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let well_formed =
            prefix == PREFIX && is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES) && parts.next().is_none();
        well_formed.then(|| Self { id: id.into(), secret: secret.into() })
    }

    /// The part that is no secret.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// What is kept of the secret.
    pub(crate) fn secret_sha256(&self) -> [u8; 32] {
        Sha256::digest(&self.secret).into()
    }

    /// Whether this is the secret that was kept; takes equally long whatever it is, also if nothing was kept.
    pub(crate) fn proves(&self, kept: Option<&[u8; 32]>) -> bool {
        let is_same = self.secret_sha256().ct_eq(kept.unwrap_or(&[0; 32]));
        bool::from(is_same) && kept.is_some()
    }

    /// The whole text, to be shown to its holder once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}_{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}_{}_(secret)", self.id)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_as_it_was_shown() {
        let key = KeyText::random().unwrap();
        let read = KeyText::parse(&key.reveal()).unwrap();
        assert_eq!((read.id(), read.secret_sha256()), (key.id(), key.secret_sha256()));
        assert_ne!(KeyText::random().unwrap().reveal(), key.reveal());
    }

    #[test]
    fn what_is_no_key_is_not_read() {
        let text = KeyText::random().unwrap().reveal();
        let others = ["", "spk", "spk__", "Bearer", &text[1..], &text[..text.len() - 1], &text.to_uppercase()];
        for other in others.map(String::from).into_iter().chain([format!("{text}_"), format!("{text}0")]) {
            assert!(KeyText::parse(&other).is_none(), "{other}");
        }
    }

    #[test]
    fn only_the_same_secret_proves_a_key() {
        let (key, other) = (KeyText::random().unwrap(), KeyText::random().unwrap());
        assert!(key.proves(Some(&key.secret_sha256())));
        assert!(!key.proves(Some(&other.secret_sha256())));
        assert!(!key.proves(None));
    }

    #[test]
    fn a_log_shows_no_secret() {
        let key = KeyText::random().unwrap();
        assert_eq!(format!("{key:?}"), format!("spk_{}_(secret)", key.id()));
    }
}
