//! Which signatures are accepted, and how they are checked: by ring, which the program has for TLS anyway.
//!
//! `jsonwebtoken` leaves cryptography to a provider. This one knows public keys only, so that neither `none` nor a
//! secret (HMAC, where somebody could take a public key for the secret) can pass, whatever a token says.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind, new_error};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::rsa::PublicKeyComponents;
use ring::signature as checks;
use ring::signature::{RsaParameters, UnparsedPublicKey, VerificationAlgorithm};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(new_error(ErrorKind::UnsupportedAlgorithm)),
    verifier_factory,
    // for making and naming keys, which nobody does here
    key_utils: KeyUtils::new_unimplemented(),
};

/// Makes `jsonwebtoken` check signatures with ring; another time does nothing.
pub(super) fn install() {
    // fails only if it was chosen before
    let _ = PROVIDER.install_default();
}

/// How an algorithm is checked.
#[derive(Clone, Copy)]
enum Check {
    /// With modulus and exponent.
    Rsa(&'static RsaParameters),
    /// With the bytes of a point.
    Point(&'static dyn VerificationAlgorithm),
}

/// The list of what is accepted; everything else is not. Moduli below 2048 bits are not either.
fn check(algorithm: Algorithm) -> Option<Check> {
    Some(match algorithm {
        Algorithm::RS256 => Check::Rsa(&checks::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Check::Rsa(&checks::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Check::Rsa(&checks::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Check::Rsa(&checks::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Check::Rsa(&checks::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Check::Rsa(&checks::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Check::Point(&checks::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Check::Point(&checks::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Check::Point(&checks::ED25519),
        _ => return None,
    })
}

/// Whether tokens that are signed in this way are accepted.
pub(super) fn is_accepted(algorithm: Algorithm) -> bool {
    check(algorithm).is_some()
}

struct RingVerifier {
    algorithm: Algorithm,
    check: Check,
    key: DecodingKey,
}

fn verifier_factory(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    let check = check(*algorithm).ok_or_else(|| new_error(ErrorKind::UnsupportedAlgorithm))?;
    if key.family() != algorithm.family() {
        return Err(new_error(ErrorKind::InvalidKeyFormat));
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, check, key: key.clone() }))
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], proof: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (self.check, self.key.kind()) {
            (Check::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                PublicKeyComponents { n: without_zeros(n), e: without_zeros(e) }.verify(parameters, message, proof)
            }
            (Check::Point(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(algorithm, point).verify(message, proof)
            }
            _ => return Err(signature::Error::new()),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

/// Some issuers write numbers as signed ones, with a zero in front that ring does not take.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    &number[zeros..]
}
