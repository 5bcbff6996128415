//! The cryptography of encrypted connections: to a database, a bucket, another process.

/// Chooses it for this process, before the first client is made; another time does nothing.
pub fn install() {
    // fails only if it was chosen before
    let _ = rustls::crypto::ring::default_provider().install_default();
}
