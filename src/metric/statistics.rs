//! Summaries of one score over many images. Input values are finite; nothing to summarise is `None`.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};

/// Number of resamples behind [`bootstrap_mean_interval`].
pub const BOOTSTRAP_RESAMPLES: usize = 1000;

/// A range that holds the true value with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ConfidenceInterval {
    /// 2.5th percentile of the resampled statistic.
    pub low: f64,
    /// 97.5th percentile of the resampled statistic.
    pub high: f64,
}

/// Arithmetic mean.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Middle value, or the mean of the two middle ones.
pub fn median(values: &[f64]) -> Option<f64> {
    percentile(values, 50.)
}

/// Percentile by linear interpolation between order statistics (numpy's `linear`). `percent` is
/// clamped to [0, 100].
pub fn percentile(values: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    percentile_of_sorted(&sorted, percent)
}

/// As [`percentile`], of ascending values.
pub(super) fn percentile_of_sorted(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = percent.clamp(0., 100.) / 100. * sorted.len().checked_sub(1)? as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
    Some(below + (above - below) * rank.fract())
}

/// 95 % confidence interval of the mean by the percentile bootstrap (Efron 1979): the mean of
/// [`BOOTSTRAP_RESAMPLES`] draws with replacement. The same values in the same order and the same
/// seed give the same interval.
pub fn bootstrap_mean_interval(values: &[f64], seed: u64) -> Option<ConfidenceInterval> {
    if values.is_empty() {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut draw = || {
        // Scaling a 64-bit draw to the length favours an index by less than length / 2^64.
        let index = (u128::from(rng.next_u64()) * values.len() as u128) >> 64;
        values[index as usize]
    };
    let count = values.len();
    let mut means: Vec<f64> =
        (0..BOOTSTRAP_RESAMPLES).map(|_| (0..count).map(|_| draw()).sum::<f64>() / count as f64).collect();
    means.sort_unstable_by(f64::total_cmp);
    Some(ConfidenceInterval { low: percentile_of_sorted(&means, 2.5)?, high: percentile_of_sorted(&means, 97.5)? })
}

/// For each count of `trials`, the probability of at least that count if each succeeds with probability `chance`, which
/// is neither 0 nor 1. Entry `k` is that of the count `k`.
pub fn binomial_tails(trials: usize, chance: f64) -> Vec<f64> {
    let (succeeds, fails) = (chance.ln(), (1. - chance).ln());
    // ln of n over k, from one k to the next
    let mut choose = 0.;
    let mut terms = Vec::with_capacity(trials + 1);
    for k in 0..=trials {
        if k > 0 {
            choose += ((trials - k + 1) as f64).ln() - (k as f64).ln();
        }
        terms.push((choose + k as f64 * succeeds + (trials - k) as f64 * fails).exp());
    }
    // Summed from the far end, where the terms are smallest.
    let mut tail = 0.;
    for term in terms.iter_mut().rev() {
        tail += *term;
        *term = f64::min(tail, 1.);
    }
    terms
}

/// 95 % confidence interval of a share, of which `successes` of `trials` are known: exact, and so never too short
/// (Clopper and Pearson 1934). `None` without trials.
pub fn share_interval(successes: usize, trials: usize) -> Option<ConfidenceInterval> {
    if trials == 0 {
        return None;
    }
    // The chance at which so many successes or more have a probability of 2.5 %.
    let lowest = |successes: usize| {
        let (mut low, mut high) = (0., 1.);
        for _ in 0..50 {
            let middle = (low + high) / 2.;
            *if binomial_tails(trials, middle)[successes] < 0.025 { &mut low } else { &mut high } = middle;
        }
        low
    };
    let low = if successes == 0 { 0. } else { lowest(successes) };
    let high = if successes == trials { 1. } else { 1. - lowest(trials - successes) };
    Some(ConfidenceInterval { low, high })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_has_no_summary() {
        assert_eq!(mean(&[]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(percentile(&[], 5.), None);
        assert_eq!(bootstrap_mean_interval(&[], 1), None);
    }

    #[test]
    fn tails_are_those_of_the_binomial_distribution() {
        let tails = binomial_tails(3, 0.5);
        let wanted = [1., 0.875, 0.5, 0.125];
        assert!(tails.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{tails:?}");
        let extreme = binomial_tails(100, 0.75)[100];
        assert!((extreme / 0.75f64.powi(100) - 1.).abs() < 1e-9);
    }

    #[test]
    fn shares_have_the_exact_interval() {
        assert_eq!(share_interval(0, 0), None);
        // Without a success the upper end is 1 - 0.025^(1/n); the others are scipy's `binomtest(k, n).proportion_ci()`.
        let rare = 1. - 0.025f64.powf(0.1);
        for (successes, trials, low, high) in [
            (0, 10, 0., rare),
            (10, 10, 1. - rare, 1.),
            (3, 10, 0.066_739_51, 0.652_452_85),
            (1, 2, 0.012_579_12, 0.987_420_88),
        ] {
            let found = share_interval(successes, trials).unwrap();
            assert!((found.low - low).abs() < 1e-8 && (found.high - high).abs() < 1e-8, "{successes}: {found:?}");
        }
    }

    #[test]
    fn percentiles_interpolate_between_order_statistics() {
        let values = [4., 1., 3., 2.];
        assert_eq!(mean(&values), Some(2.5));
        assert_eq!(median(&values), Some(2.5));
        assert_eq!(percentile(&values, 0.), Some(1.));
        assert_eq!(percentile(&values, 5.), Some(1.15));
        assert_eq!(percentile(&values, 100.), Some(4.));
        assert_eq!(percentile(&[7.], 95.), Some(7.));
    }

    #[test]
    fn the_interval_shrinks_like_the_standard_error() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let interval = bootstrap_mean_interval(&values, 7).unwrap();
        // Standard deviation sqrt((20^2 - 1) / 12) = 5.766, standard error of 400 draws .2883.
        assert!((interval.low - (9.5 - 1.96 * 0.2883)).abs() < 0.06, "{interval:?}");
        assert!((interval.high - (9.5 + 1.96 * 0.2883)).abs() < 0.06, "{interval:?}");
    }

    #[test]
    fn the_seed_decides_the_interval() {
        let values: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17)).collect();
        assert_eq!(bootstrap_mean_interval(&values, 3), bootstrap_mean_interval(&values, 3));
        assert_ne!(bootstrap_mean_interval(&values, 3), bootstrap_mean_interval(&values, 4));
    }

    proptest! {
        #[test]
        fn summaries_stay_within_the_values(values in prop::collection::vec(0. ..1_f64, 1..20), percent in 0. ..100_f64) {
            let (low, high) = (percentile(&values, 0.).unwrap(), percentile(&values, 100.).unwrap());
            let interval = bootstrap_mean_interval(&values, 0).unwrap();
            prop_assert!(interval.low <= interval.high);
            let points = [percentile(&values, percent), mean(&values), Some(interval.low), Some(interval.high)];
            for point in points.into_iter().flatten() {
                prop_assert!(low - 1e-12 <= point && point <= high + 1e-12);
            }
        }
    }
}
