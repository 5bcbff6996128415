//! Keys of an issuer, and tokens signed with them, good ones and any others.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

/// Made for these tests with `openssl genpkey -algorithm RSA | openssl pkcs8 -topk8 -nocrypt -outform DER`, since ring makes no such keys; it opens
/// nothing.
const RSA: &[u8] = include_bytes!("rsa.pk8");

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A private key with a name.
pub struct Signer {
    pub kid: String,
    key: PrivateKey,
}

enum PrivateKey {
    Rsa(Box<RsaKeyPair>),
    Ec(&'static str, EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    pub fn rsa(kid: &str) -> Self {
        Self { kid: kid.into(), key: PrivateKey::Rsa(Box::new(RsaKeyPair::from_pkcs8(RSA).unwrap())) }
    }

    pub fn p256(kid: &str) -> Self {
        Self::ec(kid, "P-256", &signature::ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub fn p384(kid: &str) -> Self {
        Self::ec(kid, "P-384", &signature::ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    fn ec(kid: &str, curve: &'static str, algorithm: &'static EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap();
        Self { kid: kid.into(), key: PrivateKey::Ec(curve, key) }
    }

    pub fn ed25519(kid: &str) -> Self {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { kid: kid.into(), key: PrivateKey::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap()) }
    }

    /// The public key as an issuer publishes it.
    pub fn jwk(&self) -> Value {
        match &self.key {
            PrivateKey::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": self.kid, "use": "sig", "n": base64(n), "e": base64(e)})
            }
            PrivateKey::Ec(curve, pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                json!({"kty": "EC", "kid": self.kid, "crv": curve, "x": base64(x), "y": base64(y)})
            }
            PrivateKey::Ed(pair) => {
                json!({"kty": "OKP", "kid": self.kid, "crv": "Ed25519", "x": base64(pair.public_key())})
            }
        }
    }

    /// A token that says that it is signed with `algorithm`, and is if the key can.
    pub fn token(&self, algorithm: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": algorithm, "typ": "JWT", "kid": self.kid}), claims)
    }

    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
        let proof = self.sign(header["alg"].as_str().unwrap_or_default(), message.as_bytes());
        format!("{message}.{}", base64(proof))
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            PrivateKey::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut proof = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &random, message, &mut proof).unwrap();
                proof
            }
            PrivateKey::Ec(_, pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            PrivateKey::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token that is "signed" with a secret that everybody knows.
pub fn hmac_token(kid: &str, secret: &[u8], claims: &Value) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT", "kid": kid});
    let message = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let proof = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", base64(proof))
}

/// A token without a signature.
pub fn unsigned_token(algorithm: &str, kid: &str, claims: &Value) -> String {
    let header = json!({"alg": algorithm, "typ": "JWT", "kid": kid});
    format!("{}.{}.", base64(header.to_string()), base64(claims.to_string()))
}
