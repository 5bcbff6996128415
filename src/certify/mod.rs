//! A certificate for a mask: which pixels keep their class under every small change of the image.
//!
//! The smoothed model answers with the class that a pixel has most often when normal noise is added to the image. If
//! that class has a probability above `tau`, it is the smoothed model's answer for every image within an L2 distance of
//! `sigma Phi^-1(tau)`: this is proven, and holds against every attack (Cohen, Rosenfeld and Kolter 2019, arXiv
//! 1902.02918). Probabilities are estimated from samples and tested for all pixels at once with Holm's correction;
//! pixels that fail the test are abstained from: SegCertify, Fischer, Baader and Vechev 2021, arXiv 2107.00228. The
//! samples are drawn by the [method](crate::attack::SegCertify) of that name.

mod test;

use serde::Serialize;
use utoipa::ToSchema;

use crate::imaging::{ImagingError, Mask};
use crate::metric::statistics::binomial_tails;
use crate::metric::{Confusion, MetricError};

pub use test::{holm, normal_quantile};

/// Probabilities for which [`normal_quantile`] is exact to nine digits.
pub const MOST_TAU: f64 = 0.97;

/// How often each pixel was foreground, and in how many samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// One entry for every pixel, row by row.
    pub foreground: Vec<u64>,
    /// The number of samples.
    pub samples: usize,
}

/// What a pixel's class is held against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// Standard deviation of the noise, as a share of full scale.
    pub sigma: f64,
    /// The probability that a class needs.
    pub tau: f64,
    /// The probability that any pixel is certified wrongly.
    pub alpha: f64,
}

/// What is certain of an image.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// The smoothed model's mask. Says nothing where it is abstained from.
    pub mask: Mask,
    /// The pixels without a certificate.
    pub abstained: Mask,
    /// L2 distance, in units of full scale over all values of the image, up to which the others keep their class.
    pub radius: f64,
}

/// A certificate in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct CertificateScores {
    /// L2 distance up to which certified pixels keep their class, in units of full scale over all values of the image.
    pub radius_l2: f64,
    /// Share of the pixels without a certificate.
    pub abstained_share: f64,
    /// DSC of the smoothed model's mask, all pixels taken at their word.
    pub smoothed_dsc: f64,
    /// The lower bound: DSC if every pixel without a certificate is wrong.
    pub certified_dsc: f64,
    /// The same of IoU.
    pub certified_iou: f64,
}

impl Rule {
    /// Samples that a certificate for one of so many pixels needs at least, even if no sample disagrees.
    pub fn samples_needed(&self, pixels: usize) -> usize {
        // The most extreme count has probability tau^n under the hypothesis, and the first pixel is tested at alpha /
        // pixels.
        ((self.alpha / pixels as f64).ln() / self.tau.ln()).ceil() as usize
    }

    /// Certifies the class that is more frequent in `chosen`, by `tested`; a pixel that is foreground in half of the
    /// samples counts as background.
    ///
    /// # Errors
    /// Counts that are not those of an image of this width and height.
    pub fn certify(
        &self,
        (width, height): (usize, usize),
        chosen: &Counts,
        tested: &Counts,
    ) -> Result<Certificate, ImagingError> {
        let majority = |count: &u64| 2 * *count > chosen.samples as u64;
        let mask = Mask::new(width, height, chosen.foreground.iter().map(majority).collect())?;
        let total = tested.samples as u64;
        let agreeing = |(count, inside): (&u64, &bool)| if *inside { *count } else { total - *count };
        let counts: Vec<u64> = tested.foreground.iter().zip(mask.bits()).map(agreeing).collect();
        let certified = holm(&counts, &binomial_tails(tested.samples, self.tau), self.alpha);
        let abstained = Mask::new(width, height, certified.iter().map(|certain| !certain).collect())?;
        Ok(Certificate { mask, abstained, radius: self.sigma * normal_quantile(self.tau) })
    }
}

impl Certificate {
    /// The certificate beside a reference.
    ///
    /// # Errors
    /// A reference of another size.
    pub fn scores(&self, reference: &Mask) -> Result<CertificateScores, MetricError> {
        let smoothed = Confusion::between(&self.mask, reference)?;
        // As far as it was proven, a pixel has the class of the mask; otherwise it has the wrong one.
        let worst = Mask::from_fn(self.mask.width(), self.mask.height(), |x, y| match self.abstained.get(x, y) {
            true => !reference.get(x, y),
            false => self.mask.get(x, y),
        });
        let certain = Confusion::between(&worst, reference)?;
        Ok(CertificateScores {
            radius_l2: self.radius,
            abstained_share: self.abstained.area() as f64 / self.abstained.bits().len() as f64,
            smoothed_dsc: smoothed.dsc(),
            certified_dsc: certain.dsc(),
            certified_iou: certain.iou(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule = Rule { sigma: 0.1, tau: 0.75, alpha: 0.01 };

    #[test]
    fn what_is_abstained_from_counts_as_wrong() {
        let counts = |foreground: [u64; 4], samples| Counts { foreground: foreground.into(), samples };
        let certificate = RULE.certify((2, 2), &counts([9, 0, 6, 5], 10), &counts([100, 0, 80, 3], 100)).unwrap();
        // 80 of 100 is no evidence for more than 0.75; half of ten is background
        assert_eq!(certificate.mask.bits(), [true, false, true, false]);
        assert_eq!(certificate.abstained.bits(), [false, false, true, false]);
        assert!((certificate.radius - 0.1 * 0.674_489_75).abs() < 1e-9);
        let reference = Mask::new(2, 2, vec![true, false, true, true]).unwrap();
        let scores = certificate.scores(&reference).unwrap();
        assert_eq!((scores.abstained_share, scores.smoothed_dsc), (0.25, 0.8));
        assert_eq!((scores.certified_dsc, scores.certified_iou), (0.5, 1. / 3.));
        assert!(certificate.scores(&Mask::new(1, 1, vec![true]).unwrap()).is_err());
    }

    #[test]
    fn fewer_samples_than_needed_certify_nothing() {
        let pixels = 10_000;
        let needed = RULE.samples_needed(pixels);
        let always = |samples| {
            let counts = |samples| Counts { foreground: vec![samples as u64; pixels], samples };
            RULE.certify((100, 100), &counts(1), &counts(samples)).unwrap().abstained.area()
        };
        assert_eq!((always(needed), always(needed - 1)), (0, pixels));
    }
}
