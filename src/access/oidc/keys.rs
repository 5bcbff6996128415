//! The public keys of an issuer (JWKS, RFC 7517).

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;

use super::signature;

/// The document that an issuer publishes. Its keys are read one by one, since one may be of a kind that nobody here
/// knows, and the others are of use all the same.
#[derive(Debug, Deserialize)]
pub(super) struct Published {
    keys: Vec<Value>,
}

/// Keys that tokens can be checked with.
#[derive(Debug)]
pub(super) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The only algorithm that it is for, if it says so.
    algorithm: Option<Algorithm>,
    key: DecodingKey,
}

impl KeySet {
    /// Those that are for signatures; `None` without any.
    pub fn of(published: Published) -> Option<Self> {
        let keys: Vec<Key> = published.keys.into_iter().filter_map(Key::read).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The key that a token says it is signed with. Without a name in the token, there must be one only.
    pub fn find(&self, header: &Header) -> Option<&DecodingKey> {
        let is_named = |key: &&Key| header.kid.is_none() || key.id == header.kid;
        let mut fitting = self.0.iter().filter(|key| key.is_for(header.alg)).filter(is_named);
        let key = fitting.next()?;
        (header.kid.is_some() || fitting.next().is_none()).then_some(&key.key)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Key {
    fn read(value: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(value).ok()?;
        let common = &jwk.common;
        let is_for_signatures =
            common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
                && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let algorithm = common.key_algorithm.map(Algorithm::try_from).transpose().ok()?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let is_usable = match algorithm {
            Some(algorithm) => signature::is_accepted(algorithm) && algorithm.family() == key.family(),
            None => key.family().algorithms().iter().copied().any(signature::is_accepted),
        };
        (is_for_signatures && is_usable).then(|| Self { id: common.key_id.clone(), algorithm, key })
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        self.key.family() == algorithm.family() && self.algorithm.is_none_or(|only| only == algorithm)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(keys: Value) -> Option<KeySet> {
        KeySet::of(serde_json::from_value(json!({ "keys": keys })).unwrap())
    }

    fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
        Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
    }

    fn ed25519(kid: &str) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": kid, "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    }

    #[test]
    fn a_key_is_found_by_its_name_and_kind() {
        let rsa = json!({"kty": "RSA", "kid": "r", "alg": "RS256", "use": "sig", "n": "sXch", "e": "AQAB"});
        let keys = set(json!([rsa, ed25519("a"), ed25519("b")])).unwrap();
        let finds = |algorithm, kid| keys.find(&header(algorithm, kid)).is_some();
        assert!(finds(Algorithm::EdDSA, Some("a")) && finds(Algorithm::RS256, Some("r")));
        assert!(!finds(Algorithm::EdDSA, Some("c")), "unknown");
        assert!(!finds(Algorithm::EdDSA, Some("r")) && !finds(Algorithm::ES256, Some("a")), "of another kind");
        assert!(!finds(Algorithm::RS512, Some("r")) && !finds(Algorithm::PS256, Some("r")), "for another algorithm");
        assert!(finds(Algorithm::RS256, None), "the only one");
        assert!(!finds(Algorithm::EdDSA, None), "either");
    }

    #[test]
    fn what_cannot_be_used_is_left_out() {
        let keys = set(json!([
            "nonsense",
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
            {"kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0"},
            {"kty": "RSA", "kid": "e", "use": "enc", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "o", "alg": "RSA-OAEP", "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "w", "key_ops": ["wrapKey"], "n": "sXch", "e": "AQAB"},
            {"kty": "RSA", "kid": "h", "alg": "HS256", "n": "sXch", "e": "AQAB"},
            {"kty": "EC", "kid": "k", "crv": "secp256k1", "x": "AA", "y": "AA"},
            {"kty": "NEW", "kid": "n"},
            ed25519("a"),
        ]))
        .unwrap();
        assert_eq!(keys.len(), 1);
        assert!(keys.find(&header(Algorithm::EdDSA, Some("a"))).is_some());
        assert!(set(json!([{"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}])).is_none());
        assert!(set(json!([])).is_none());
    }
}
