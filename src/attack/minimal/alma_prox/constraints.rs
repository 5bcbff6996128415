//! One constraint for each pixel, with its multiplier and its penalty parameter.

use candle_core::{Device, Tensor};

use super::penalty;
use crate::attack::minimal::margin::Margins;

/// First and last value of a multiplier.
const MU: [f64; 2] = [1e-12, 1.];
/// First value of a penalty parameter, its growth, and where it stops: what it is squared to has to stay a number.
const RHO: f64 = 0.01;
const RHO_GROWTH: f64 = 2.;
const RHO_END: f64 = 1e12;
/// Steps between two looks at whether constraints have improved, and by what factor they have to.
const CHECK: usize = 10;
const IMPROVED: f64 = 0.95;
/// What is kept of a multiplier in a step.
const KEPT: f64 = 0.8;
/// The least and the greatest scale of all constraints, and by what share it moves in a step.
const SCALE: [f64; 2] = [0.1, 1.];
const SCALE_MOVES: f64 = 0.02;
/// Added to the margin, in units of the mean logit: a pixel on the fence is not won.
const TOLERANCE: f64 = 1e-4;
/// Keeps a division from failing where all logits are 0.
const SMALLEST: f64 = 1e-12;

/// The constraints `c_i = w (m_i / mean |z| + tolerance) <= 0` and what they weigh.
///
/// The margin over the mean logit is what is left of the difference-of-logits ratio for a single logit.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Constraints {
    /// Multipliers.
    mu: Vec<f64>,
    /// Penalty parameters.
    rho: Vec<f64>,
    /// Constraints at the last look.
    before: Vec<f64>,
    /// Whether each was met since then.
    won: Vec<bool>,
    /// The scale of all, `w`.
    scale: f64,
}

/// Where an attack is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// The step, from 0.
    pub step: usize,
    /// Of so many.
    pub steps: usize,
    /// The share of constraints that have to be met in the end.
    pub share: f64,
    /// Whether the point meets the criterion of success.
    pub met: bool,
}

impl Constraints {
    /// Before the first step, for so many pixels.
    pub(super) fn new(pixels: usize) -> Self {
        Self {
            mu: vec![MU[1]; pixels],
            rho: vec![RHO; pixels],
            before: vec![0.; pixels],
            won: vec![false; pixels],
            scale: SCALE[1],
        }
    }

    /// Adapts to the margins at a point, and answers the slope of the sum of all penalties in each pixel's logit.
    pub(super) fn slopes(&mut self, margins: &Margins, now: Moment) -> Vec<f64> {
        let moved = if now.met { 1. + SCALE_MOVES } else { 1. - SCALE_MOVES };
        self.scale = (self.scale / moved).clamp(SCALE[0], SCALE[1]);
        let size = margins.left.iter().map(|left| left.abs()).sum::<f64>() / margins.count() as f64 + SMALLEST;
        let constraints: Vec<f64> = margins.left.iter().map(|left| self.scale * (left / size + TOLERANCE)).collect();
        for (won, left) in self.won.iter_mut().zip(&margins.left) {
            *won |= *left < 0.;
        }
        let most = worst_allowed(&constraints, now);
        let counts = |c: f64| c <= most;
        self.look(&constraints, counts, now.step);
        if now.step > 0 {
            for ((mu, rho), c) in self.mu.iter_mut().zip(&self.rho).zip(&constraints) {
                let wanted = if counts(*c) { penalty::slope(*c, *mu, *rho) } else { 0. };
                *mu = (KEPT * *mu + (1. - KEPT) * wanted).clamp(MU[0], MU[1]);
            }
        }
        let parameters = self.mu.iter().zip(&self.rho).zip(&margins.slope);
        let slope = |(c, ((mu, rho), slope)): (&f64, ((&f64, &f64), &f64))| {
            if counts(*c) { penalty::slope(*c, *mu, *rho) * self.scale / size * slope } else { 0. }
        };
        constraints.iter().zip(parameters).map(slope).collect()
    }

    /// Every few steps, makes those costlier that were neither met since the last look nor have improved.
    fn look(&mut self, constraints: &[f64], counts: impl Fn(f64) -> bool, step: usize) {
        if step > 0 && !(step + 1).is_multiple_of(CHECK) {
            return;
        }
        if step > 0 {
            let seen = constraints.iter().zip(&self.before).zip(&self.won);
            for (rho, ((c, before), won)) in self.rho.iter_mut().zip(seen) {
                let left = if counts(*c) { *c } else { 0. };
                if !won && left > IMPROVED * before {
                    *rho = (*rho * RHO_GROWTH).min(RHO_END);
                }
            }
            self.won.fill(false);
        }
        self.before.copy_from_slice(constraints);
    }

    /// As `[4, pixels]` and one number.
    ///
    /// # Errors
    /// A device that failed.
    pub(super) fn to_tensors(&self) -> candle_core::Result<[Tensor; 2]> {
        let won: Vec<f64> = self.won.iter().map(|won| f64::from(u8::from(*won))).collect();
        let rows = [&self.mu, &self.rho, &self.before, &won].map(|row| Tensor::new(row.as_slice(), &Device::Cpu));
        let [mu, rho, before, won] = rows;
        Ok([Tensor::stack(&[mu?, rho?, before?, won?], 0)?, Tensor::new(&[self.scale], &Device::Cpu)?])
    }

    /// What [`Self::to_tensors`] was taken of.
    ///
    /// # Errors
    /// Tensors of another kind.
    pub(super) fn from_tensors(rows: &Tensor, scale: f64) -> candle_core::Result<Self> {
        let mut rows = rows.to_vec2::<f64>()?.into_iter();
        let mut row = || rows.next().ok_or_else(|| candle_core::Error::msg("constraints are kept as four rows"));
        Ok(Self {
            mu: row()?,
            rho: row()?,
            before: row()?,
            won: row()?.into_iter().map(|won| won > 0.).collect(),
            scale,
        })
    }
}

/// The largest constraint that counts. Those above are given up: `1 - share` of all at the end, none at the beginning,
/// in between in proportion to the steps.
fn worst_allowed(constraints: &[f64], now: Moment) -> f64 {
    let last = now.steps.saturating_sub(1).max(1);
    let share = (1. - now.share) * now.step.min(last) as f64 / last as f64;
    // Forgives a product that is a rounding error short of a whole number.
    let given_up = (share * constraints.len() as f64 + 1e-9) as usize;
    if given_up == 0 {
        return f64::INFINITY;
    }
    let mut descending = constraints.to_vec();
    *descending.select_nth_unstable_by(given_up - 1, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn margins(left: Vec<f64>) -> Margins {
        Margins { slope: vec![1.; left.len()], left }
    }

    fn moment(step: usize, met: bool) -> Moment {
        Moment { step, steps: 101, share: 0.5, met }
    }

    #[test]
    fn constraints_that_stay_broken_grow_costlier_and_met_ones_do_not() {
        let mut constraints = Constraints::new(4);
        let at = margins(vec![3., -1., 0.5, -2.]);
        for step in 0..30 {
            let slopes = constraints.slopes(&at, Moment { share: 1., ..moment(step, false) });
            assert!(slopes.iter().all(|slope| slope.is_finite() && *slope >= 0.));
        }
        assert_eq!(constraints.rho, [0.08, 0.01, 0.08, 0.01]);
        assert!(constraints.mu[0] == 1. && constraints.mu[1] < 0.6 && constraints.mu[3] < constraints.mu[1]);
    }

    #[test]
    fn the_scale_follows_success_within_its_bounds() {
        let mut constraints = Constraints::new(2);
        let at = margins(vec![1., -1.]);
        (0..400).for_each(|step| drop(constraints.slopes(&at, moment(step, true))));
        assert_eq!(constraints.scale, 0.1);
        constraints.slopes(&at, moment(1, false));
        assert!((constraints.scale - 0.1 / 0.98).abs() < 1e-12);
        (0..400).for_each(|step| drop(constraints.slopes(&at, moment(step, false))));
        assert_eq!(constraints.scale, 1.);
    }

    #[test]
    fn the_worst_are_given_up_in_proportion_to_the_steps() {
        let constraints: Vec<f64> = (0..100).map(|i| f64::from((i * 37) % 100)).collect();
        assert_eq!(worst_allowed(&constraints, moment(0, false)), f64::INFINITY);
        assert_eq!(worst_allowed(&constraints, moment(2, false)), 99.);
        assert_eq!(worst_allowed(&constraints, moment(100, false)), 50.);
        assert_eq!(worst_allowed(&constraints, Moment { share: 1., ..moment(100, false) }), f64::INFINITY);
        assert_eq!(worst_allowed(&[1.], Moment { steps: 1, ..moment(0, false) }), f64::INFINITY);
    }

    #[test]
    fn what_is_kept_comes_back() {
        let mut constraints = Constraints::new(3);
        (0..12).for_each(|step| drop(constraints.slopes(&margins(vec![1., -0.3, 2.]), moment(step, step % 2 == 0))));
        let [rows, scale] = constraints.to_tensors().unwrap();
        let scale = scale.to_vec1::<f64>().unwrap()[0];
        assert_eq!(Constraints::from_tensors(&rows, scale).unwrap(), constraints);
    }
}
