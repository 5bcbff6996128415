//! From a float iterate to an 8-bit file that keeps the budget exactly.
//!
//! Rounding alone may leave the ball by half a level per channel. What is downloaded has to hold
//! what was promised, so the rounded image is moved back on the lattice of 8-bit images until it
//! does, counted in whole levels of 255.

use candle_core::Tensor;

use super::budget::Norm;
use crate::imaging::{Image, ImagingError, Mask};

/// Forgives an epsilon such as `8. / 255.` that is a rounding error short of a whole level.
const SLACK: f64 = 1e-4;

/// The budget in levels of 255, and where the image may change.
#[derive(Debug, Clone, Copy)]
pub struct Lattice<'a> {
    /// How the perturbation is measured.
    pub norm: Norm,
    /// How large it may be, in levels of 255; infinite without a budget.
    pub levels: f64,
    /// The pixels that may change; `None` allows all.
    pub region: Option<&'a Mask>,
}

impl Lattice<'_> {
    /// The 8-bit image near `x` `[3, h, w]` in [0, 1] that lies within the budget around `clean` and
    /// equals it outside the region.
    ///
    /// # Errors
    /// An `x` of another shape than the clean image.
    pub fn round(&self, clean: &Image, x: &Tensor) -> Result<Image, ImagingError> {
        let wanted = levels(clean, x)?;
        let rounded = Image::from_tensor(x)?;
        let origin = clean.rgb().iter().map(|v| i32::from(*v));
        let mut steps: Vec<i32> = (rounded.rgb().iter().map(|v| i32::from(*v)).zip(origin).enumerate())
            .map(|(entry, (to, from))| if self.allows(entry) { to - from } else { 0 })
            .collect();
        match self.norm {
            Norm::Linf => {
                let most = (self.levels + SLACK).floor() as i32;
                steps.iter_mut().for_each(|step| *step = (*step).clamp(-most, most));
            }
            Norm::L2 => shorten(&mut steps, &wanted, (self.levels + SLACK).powi(2), |step| u64::from(step).pow(2)),
            Norm::L1 => shorten(&mut steps, &wanted, self.levels + SLACK, u64::from),
        }
        // Each step leads from the clean level towards the rounded one, so it stays in 0..=255.
        let rgb = clean.rgb().iter().zip(&steps).map(|(from, step)| (i32::from(*from) + step) as u8).collect();
        Image::new(clean.width(), clean.height(), rgb)
    }

    /// Whether `image` is within the budget around `clean` and equals it outside the region. Both have
    /// one size.
    pub fn admits(&self, clean: &Image, image: &Image) -> bool {
        let allowed = |(entry, (from, to)): (usize, (&u8, &u8))| from == to || self.allows(entry);
        let inside = clean.rgb().iter().zip(image.rgb()).enumerate().all(allowed);
        inside && self.distance(clean, image) <= self.levels + SLACK
    }

    /// How far two images of one size are apart, in levels of 255.
    pub fn distance(&self, clean: &Image, image: &Image) -> f64 {
        let changes = clean.rgb().iter().zip(image.rgb()).map(|(from, to)| from.abs_diff(*to));
        match self.norm {
            Norm::Linf => f64::from(changes.max().unwrap_or(0)),
            Norm::L2 => (changes.map(|c| u64::from(c).pow(2)).sum::<u64>() as f64).sqrt(),
            Norm::L1 => changes.map(u64::from).sum::<u64>() as f64,
        }
    }

    fn allows(&self, entry: usize) -> bool {
        self.region.is_none_or(|region| region.bits()[entry / 3])
    }

    /// Whether no 8-bit image but the clean one is within the budget.
    pub fn is_a_point(&self) -> bool {
        self.levels + SLACK < 1.
    }
}

/// Moves entries back by one level each until the sum of their `cost` is at most `most`, those first that
/// rounding carried farthest beyond the `wanted` perturbation: what they lose was never asked for.
fn shorten(steps: &mut [i32], wanted: &[f32], most: f64, cost: impl Fn(u32) -> u64) {
    let cost = |step: i32| cost(step.unsigned_abs());
    let mut sum: u64 = steps.iter().map(|s| cost(*s)).sum();
    if sum as f64 <= most {
        return;
    }
    let overshoot = |entry: usize, step: i32| step.abs() as f32 - wanted[entry].abs();
    let mut order: Vec<usize> = (0..steps.len()).filter(|e| steps[*e] != 0).collect();
    order.sort_by(|a, b| overshoot(*b, steps[*b]).total_cmp(&overshoot(*a, steps[*a])).then(a.cmp(b)));
    // After one round every entry overshoots by one level less: the order stays right.
    for entry in order.iter().copied().cycle() {
        if sum as f64 <= most {
            return;
        }
        let shorter = steps[entry] - steps[entry].signum();
        sum -= cost(steps[entry]) - cost(shorter);
        steps[entry] = shorter;
    }
}

/// The perturbation `x - clean` in levels of 255, interleaved as the image's bytes are.
fn levels(clean: &Image, x: &Tensor) -> Result<Vec<f32>, ImagingError> {
    let delta = ((x - clean.to_tensor(x.device())?)? * 255.)?;
    Ok(delta.permute((1, 2, 0))?.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::*;
    use crate::metric::PerturbationScores;

    fn image(width: usize, height: usize, seed: u64) -> Image {
        let rgb = (0..width * height * 3).map(|i| ((i as u64 + 1).wrapping_mul(seed | 1) >> 7) as u8).collect();
        Image::new(width, height, rgb).unwrap()
    }

    proptest! {
        #[test]
        fn the_file_is_within_budget_and_region(
            (width, height) in (1usize..9, 1usize..9),
            (seed, noise) in (any::<u64>(), any::<u64>()),
            epsilon in prop_oneof![0f64..3., 0f64..255., 0f64..9000.],
            norm in prop_oneof![Just(Norm::Linf), Just(Norm::L2), Just(Norm::L1)],
            region in any::<bool>(),
        ) {
            let clean = image(width, height, seed);
            let x = image(width, height, noise).to_tensor(&Device::Cpu).unwrap().affine(1.2, -0.1).unwrap();
            let region = region.then(|| Mask::from_fn(width, height, |x, y| (x + y) % 2 == 0));
            let lattice = Lattice { norm, levels: epsilon, region: region.as_ref() };
            let file = lattice.round(&clean, &x).unwrap();
            let scores = PerturbationScores::between(&clean, &file).unwrap();
            match norm {
                Norm::Linf => prop_assert!(f64::from(scores.linf_levels) <= (epsilon + 1e-4).floor()),
                Norm::L2 => prop_assert!(scores.l2_levels <= epsilon + 1e-4),
                Norm::L1 => prop_assert!(scores.l1_levels as f64 <= epsilon + 1e-4),
            }
            prop_assert!(lattice.admits(&clean, &file));
            prop_assert!(!lattice.is_a_point() || file == clean);
            for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                let allowed = region.as_ref().is_none_or(|r| r.get(x, y));
                prop_assert!(allowed || file.pixel(x, y) == clean.pixel(x, y));
            }
        }
    }

    #[test]
    fn an_image_on_the_lattice_and_in_the_ball_is_kept() {
        let clean = Image::new(2, 1, vec![10, 20, 30, 40, 50, 60]).unwrap();
        let moved = Image::new(2, 1, vec![18, 12, 30, 40, 50, 60]).unwrap();
        let x = moved.to_tensor(&Device::Cpu).unwrap();
        for (norm, levels) in [(Norm::Linf, 8. / 255. * 255.), (Norm::L2, 11.4), (Norm::L1, 16.)] {
            assert_eq!(Lattice { norm, levels, region: None }.round(&clean, &x).unwrap(), moved);
        }
    }

    #[test]
    fn what_rounding_added_is_given_back_first() {
        let clean = Image::new(1, 1, vec![100, 100, 100]).unwrap();
        // Wanted: 2.6, 3.0 and 0.55 levels, norm 4.01; rounded: 3, 3 and 1, norm 4.36.
        let x = Tensor::new(&[102.6f32 / 255., 103. / 255., 100.55 / 255.], &Device::Cpu).unwrap();
        let x = x.reshape((3, 1, 1)).unwrap();
        let file = Lattice { norm: Norm::L2, levels: 4.02, region: None }.round(&clean, &x).unwrap();
        assert_eq!(file.rgb(), [102, 103, 100]);
        // In L1 the sum is 7 levels: the last entry goes first, then the first one.
        for (levels, wanted) in [(7., [103, 103, 101]), (6.2, [103, 103, 100]), (5., [102, 103, 100])] {
            let file = Lattice { norm: Norm::L1, levels, region: None }.round(&clean, &x).unwrap();
            assert_eq!(file.rgb(), wanted);
        }
    }
}
