//! How far an adversarial image is from its original, on the 8-bit pixels that a file holds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{MetricError, Reasons, Undefined, or_reason, same_image_size, ssim::ssim};
use crate::imaging::Image;

/// The difference of two images, over all pixels and the three channels. Norms are in levels of 255.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PerturbationScores {
    /// Largest change of any channel of any pixel, in levels.
    pub linf_levels: u8,
    /// Euclidean norm of all changes, in levels; grows with the size of the image.
    pub l2_levels: f64,
    /// Sum of all absolute changes, in levels; grows with the size of the image.
    pub l1_levels: u64,
    /// Number of pixels with any channel changed.
    pub l0_pixels: u64,
    /// Mean absolute change of a channel, in levels.
    pub mean_abs_levels: f64,
    /// Peak signal-to-noise ratio 10 log10(1 / MSE) of pixels in [0, 1]; `None` for equal images.
    pub psnr_db: Option<f64>,
    /// Structural similarity; `None` for images smaller than its window.
    pub ssim: Option<f64>,
    /// No pixel differs.
    pub identical: bool,
    /// Why a score is `None`.
    #[serde(default, skip_serializing_if = "Reasons::is_empty")]
    #[schema(inline)]
    pub reasons: Reasons,
}

impl PerturbationScores {
    /// Compares the decoded original with the decoded adversarial file.
    ///
    /// # Errors
    /// [`MetricError::Size`] if the sizes differ.
    pub fn between(original: &Image, adversarial: &Image) -> Result<Self, MetricError> {
        same_image_size(original, adversarial)?;
        let mut linf_levels = 0;
        let (mut l0_pixels, mut absolute, mut squared) = (0, 0, 0);
        for (before, after) in original.rgb().chunks_exact(3).zip(adversarial.rgb().chunks_exact(3)) {
            l0_pixels += u64::from(before != after);
            for (from, to) in before.iter().zip(after) {
                let change = from.abs_diff(*to);
                linf_levels = linf_levels.max(change);
                absolute += u64::from(change);
                squared += u64::from(change).pow(2);
            }
        }
        let channels = original.rgb().len() as f64;
        let mut reasons = Reasons::new();
        Ok(Self {
            linf_levels,
            l2_levels: (squared as f64).sqrt(),
            l1_levels: absolute,
            l0_pixels,
            mean_abs_levels: absolute as f64 / channels,
            psnr_db: or_reason(&mut reasons, "psnr_db", psnr_db(squared as f64 / channels)),
            ssim: or_reason(&mut reasons, "ssim", ssim(original, adversarial)?.ok_or(Undefined::ImageBelowWindow)),
            identical: linf_levels == 0,
            reasons,
        })
    }
}

fn psnr_db(mean_squared_levels: f64) -> Result<f64, Undefined> {
    if mean_squared_levels == 0. {
        return Err(Undefined::IdenticalImages);
    }
    Ok(10. * (255. * 255. / mean_squared_levels).log10())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::strategies::image_pair;

    /// A deterministic pattern `v = (7x + 13y + 29c) mod 256` and `min(255, v + (x^2 + 3y + 5c) mod 17)`.
    fn patterns(width: usize, height: usize) -> (Image, Image) {
        let (mut plain, mut changed) = (Vec::new(), Vec::new());
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for c in 0..3 {
                let level = (7 * x + 13 * y + 29 * c) % 256;
                plain.push(level as u8);
                changed.push((level + (x * x + 3 * y + 5 * c) % 17).min(255) as u8);
            }
        }
        (Image::new(width, height, plain).unwrap(), Image::new(width, height, changed).unwrap())
    }

    #[test]
    fn values_agree_with_scikit_image() {
        // skimage.metrics 0.26: peak_signal_noise_ratio, structural_similarity(gaussian_weights=True, sigma=1.5,
        // use_sample_covariance=False, data_range=1, channel_axis=-1) on the patterns divided by 255.
        let recorded = [
            (24, 18, 28.846_521_059_180_205, 0.987_218_740_006_213_9),
            (11, 11, 28.631_529_773_710_61, 0.975_440_836_145_423_9),
            (40, 13, 28.834_453_242_581_613, 0.984_075_007_434_187_9),
        ];
        for (width, height, psnr_db, ssim) in recorded {
            let (plain, changed) = patterns(width, height);
            let scores = PerturbationScores::between(&plain, &changed).unwrap();
            assert!((scores.psnr_db.unwrap() - psnr_db).abs() < 1e-9, "{width}x{height}: {scores:?}");
            assert!((scores.ssim.unwrap() - ssim).abs() < 1e-9, "{width}x{height}: {scores:?}");
        }
    }

    #[test]
    fn norms_are_in_levels_over_all_channels() {
        let black = Image::new(2, 2, vec![0; 12]).unwrap();
        let changed = Image::new(2, 2, vec![3, 0, 4, 0, 0, 0, 0, 12, 0, 0, 0, 0]).unwrap();
        let scores = PerturbationScores::between(&black, &changed).unwrap();
        assert_eq!((scores.linf_levels, scores.l2_levels, scores.l1_levels, scores.l0_pixels), (12, 13., 19, 2));
        assert_eq!(scores.mean_abs_levels, 19. / 12.);
        // MSE 169/12 levels^2, so 10 log10(65025 * 12 / 169) dB.
        assert!((scores.psnr_db.unwrap() - 36.643749).abs() < 1e-6, "{scores:?}");
        assert_eq!(scores.reasons["ssim"], "image_below_11_px");
    }

    #[test]
    fn equal_images_have_no_psnr_and_say_so() {
        let (plain, _) = patterns(12, 12);
        let json = serde_json::to_value(PerturbationScores::between(&plain, &plain).unwrap()).unwrap();
        let wanted = serde_json::json!({
            "linf_levels": 0, "l2_levels": 0.0, "l1_levels": 0, "l0_pixels": 0, "mean_abs_levels": 0.0,
            "psnr_db": null, "ssim": 1.0, "identical": true, "reasons": {"psnr_db": "identical_images"},
        });
        assert_eq!(json, wanted);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn does_not_depend_on_the_direction((a, b) in image_pair()) {
            prop_assert_eq!(PerturbationScores::between(&a, &b), PerturbationScores::between(&b, &a));
        }
    }
}
