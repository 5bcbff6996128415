//! Random streams named by what they are for, so that nothing depends on the order of draws.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// The stream of `purpose` under these counters.
pub(super) fn stream(counters: &[u64], purpose: &str) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    counters.iter().for_each(|c| hash.update(c.to_le_bytes()));
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// Uniform in [0, 1).
pub(super) fn uniform(random: &mut ChaCha8Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}

/// Uniform in [low, high).
pub(super) fn between(random: &mut ChaCha8Rng, low: f64, high: f64) -> f64 {
    low + (high - low) * uniform(random)
}

/// Uniform over `0..n`; zero if `n` is zero.
pub(super) fn index(random: &mut ChaCha8Rng, n: usize) -> usize {
    ((uniform(random) * n as f64) as usize).min(n.saturating_sub(1))
}

/// Standard normal (Box-Muller).
pub(super) fn gaussian(random: &mut ChaCha8Rng) -> f64 {
    let radius = (-2. * (1. - uniform(random)).ln()).sqrt();
    radius * (std::f64::consts::TAU * uniform(random)).cos()
}
