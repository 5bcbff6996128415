//! The statistics behind a certificate.

/// Which of many hypotheses are rejected with a probability of at most `alpha` that any of them is true. `counts` are
/// looked up in `p_values`. Holm, *A Simple Sequentially Rejective Multiple Test Procedure*, 1979.
pub fn holm(counts: &[u64], p_values: &[f64], alpha: f64) -> Vec<bool> {
    // P-values fall as counts rise, so hypotheses with equal counts stand together and are rejected together or not at
    // all: the condition is hardest for the first of them.
    let mut having = vec![0usize; p_values.len()];
    counts.iter().for_each(|count| having[*count as usize] += 1);
    let mut left = counts.len();
    let mut lowest_rejected = p_values.len();
    for (count, many) in having.iter().enumerate().rev().filter(|(_, many)| **many > 0) {
        if p_values[count] > alpha / left as f64 {
            break;
        }
        lowest_rejected = count;
        left -= many;
    }
    counts.iter().map(|count| *count as usize >= lowest_rejected).collect()
}

/// The number below which a standard normal number lies with probability `p`, for `p` from 0.03 to 0.97 to nine digits:
/// Acklam's rational approximation of the central part.
pub fn normal_quantile(p: f64) -> f64 {
    const ABOVE: [f64; 6] = [
        -3.969683028665376e+01,
        2.209460984245205e+02,
        -2.759285104469687e+02,
        1.38357751867269e+02,
        -3.066479806614716e+01,
        2.506628277459239e+00,
    ];
    const BELOW: [f64; 6] = [
        -5.447609879822406e+01,
        1.615858368580409e+02,
        -1.556989798598866e+02,
        6.680131188771972e+01,
        -1.328068155288572e+01,
        1.,
    ];
    let q = p - 0.5;
    let polynomial = |coefficients: [f64; 6]| coefficients.iter().fold(0., |sum, c| sum * q * q + c);
    q * polynomial(ABOVE) / polynomial(BELOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::Draws;
    use crate::metric::statistics::binomial_tails;

    #[test]
    fn a_class_that_has_no_more_than_tau_is_certified_as_rarely_as_promised() {
        let (pixels, samples, tau, alpha, runs) = (40, 60, 0.75, 0.2, 500);
        let p_values = binomial_tails(samples, tau);
        let mut draws = Draws::from_key([7; 32]);
        let (mut wrong, mut right, mut small) = (0, 0, 0);
        for _ in 0..runs {
            // half of the pixels agree exactly as often as the hypothesis says, the others nearly always
            let counts: Vec<u64> = (0..pixels)
                .map(|pixel| if pixel < pixels / 2 { tau as f32 } else { 0.995 })
                .map(|probability| (0..samples).filter(|_| draws.chance(probability)).count() as u64)
                .collect();
            let certified = holm(&counts, &p_values, alpha);
            wrong += usize::from(certified[..pixels / 2].contains(&true));
            right += certified[pixels / 2..].iter().filter(|certain| **certain).count();
            small += counts[..pixels / 2].iter().filter(|count| p_values[**count as usize] <= 0.1).count();
        }
        // at most alpha; its standard error over the runs is 0.018
        assert!(wrong as f64 / runs as f64 <= alpha + 0.054, "{wrong} of {runs}");
        assert!(right * 10 > runs * pixels / 2 * 9, "{right} of {}", runs * pixels / 2);
        // under the hypothesis a p-value of at most 0.1 has a probability of at most 0.1
        let share = small as f64 / (runs * pixels / 2) as f64;
        assert!(share > 0.02 && share <= 0.11, "{share}");
    }

    #[test]
    fn quantiles_are_those_of_the_table() {
        for (p, wanted) in [(0.5, 0.), (0.75, 0.674_489_750), (0.9, 1.281_551_566), (0.97, 1.880_793_608)] {
            assert!((normal_quantile(p) - wanted).abs() < 1e-8, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn holm_rejects_step_by_step_and_stops_at_the_first_that_fails() {
        let p_values = [1., 0.04, 0.02, 0.001];
        // sorted: 0.001 <= 0.05 / 3, 0.02 <= 0.05 / 2, 0.04 <= 0.05
        assert_eq!(holm(&[1, 2, 3], &p_values, 0.05), [true, true, true]);
        // 0.02 > 0.05 / 3: nothing below it is looked at
        assert_eq!(holm(&[2, 2, 3, 1], &p_values, 0.05), [false, false, true, false]);
        assert_eq!(holm(&[0, 0], &p_values, 0.05), [false, false]);
    }
}
