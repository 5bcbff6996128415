//! Structural similarity of two images.
//!
//! Wang et al., "Image quality assessment: from error visibility to structural similarity" (2004), in the
//! paper's own variant: Gaussian window of 11 x 11 with sigma 1.5, K1 = .01, K2 = .03, population
//! moments, only windows that lie inside the image, mean over the windows and the three channels.
//! Values of implementations with a uniform 7 x 7 window are not comparable.

use rayon::prelude::*;

use super::{MetricError, same_image_size};
use crate::imaging::Image;

const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;
const CHANNELS: usize = 3;
// SSIM does not change with the scale of the pixels, so levels of 255 are used as they are: their
// squares and products are whole numbers that f64 holds exactly.
const C1: f64 = (0.01 * 255.) * (0.01 * 255.);
const C2: f64 = (0.03 * 255.) * (0.03 * 255.);

/// Structural similarity in [-1, 1], 1 for equal images; `None` if they are smaller than the window of
/// 11 x 11 pixels.
///
/// # Errors
/// [`MetricError::Size`] if the sizes differ.
pub fn ssim(a: &Image, b: &Image) -> Result<Option<f64>, MetricError> {
    same_image_size(a, b)?;
    let (width, height) = (a.width(), a.height());
    if width < WINDOW || height < WINDOW {
        return Ok(None);
    }
    let weights = window_weights();
    let row = width * CHANNELS;
    let rows_of_windows: Vec<f64> = (0..=height - WINDOW)
        .into_par_iter()
        .map(|y| {
            let band = y * row..(y + WINDOW) * row;
            Moments::of_columns(&a.rgb()[band.clone()], &b.rgb()[band], &weights).similarity(&weights)
        })
        .collect();
    // Summed in order, so that the result does not depend on the number of threads.
    let windows = (rows_of_windows.len() * (width - WINDOW + 1) * CHANNELS) as f64;
    Ok(Some(rows_of_windows.iter().sum::<f64>() / windows))
}

/// One axis of the window, which is the product of two; sums to 1.
fn window_weights() -> [f64; WINDOW] {
    let centre = (WINDOW / 2) as f64;
    let bell = std::array::from_fn::<f64, WINDOW, _>(|i| (-(i as f64 - centre).powi(2) / (2. * SIGMA * SIGMA)).exp());
    bell.map(|weight| weight / bell.iter().sum::<f64>())
}

/// Weighted column means over a band as high as the window, channels interleaved.
struct Moments {
    a: Vec<f64>,
    b: Vec<f64>,
    squares: Vec<f64>,
    product: Vec<f64>,
}

impl Moments {
    fn of_columns(a: &[u8], b: &[u8], weights: &[f64; WINDOW]) -> Self {
        let row = a.len() / WINDOW;
        let [mut mean_a, mut mean_b, mut squares, mut product] = [(); 4].map(|()| vec![0.; row]);
        for ((a, b), weight) in a.chunks_exact(row).zip(b.chunks_exact(row)).zip(weights) {
            for i in 0..row {
                let (a, b) = (f64::from(a[i]), f64::from(b[i]));
                mean_a[i] += weight * a;
                mean_b[i] += weight * b;
                squares[i] += weight * (a * a + b * b);
                product[i] += weight * (a * b);
            }
        }
        Self { a: mean_a, b: mean_b, squares, product }
    }

    /// Sum of the similarity over the windows of the band.
    fn similarity(&self, weights: &[f64; WINDOW]) -> f64 {
        let [a, b, squares, product] = [&self.a, &self.b, &self.squares, &self.product].map(|m| across(m, weights));
        (0..a.len())
            .map(|i| {
                let (means_squared, means_product) = (a[i] * a[i] + b[i] * b[i], a[i] * b[i]);
                let (variances, covariance) = (squares[i] - means_squared, product[i] - means_product);
                (2. * means_product + C1) * (2. * covariance + C2) / ((means_squared + C1) * (variances + C2))
            })
            .sum()
    }
}

/// Weighted mean along the row, one value for each window and channel.
fn across(columns: &[f64], weights: &[f64; WINDOW]) -> Vec<f64> {
    let mut means = vec![0.; columns.len() - (WINDOW - 1) * CHANNELS];
    for (tap, weight) in weights.iter().enumerate() {
        for (mean, column) in means.iter_mut().zip(&columns[tap * CHANNELS..]) {
            *mean += weight * column;
        }
    }
    means
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::metric::strategies::image_pair;

    fn flat(level: u8) -> Image {
        Image::new(12, 11, vec![level; 12 * 11 * 3]).unwrap()
    }

    #[test]
    fn flat_images_differ_by_luminance_alone() {
        let found = ssim(&flat(100), &flat(120)).unwrap().unwrap();
        let expected = (2. * 100. * 120. + C1) / (100_f64.powi(2) + 120_f64.powi(2) + C1);
        assert!((found - expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn an_image_smaller_than_the_window_has_no_similarity() {
        let small = Image::new(40, 10, vec![0; 1200]).unwrap();
        assert_eq!(ssim(&small, &small), Ok(None));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn is_symmetric_in_range_and_one_for_equal_images((a, b) in image_pair()) {
            let similarity = ssim(&a, &b).unwrap().unwrap();
            prop_assert_eq!(similarity, ssim(&b, &a).unwrap().unwrap());
            prop_assert!((-1. ..=1.).contains(&similarity));
            prop_assert!((ssim(&a, &a).unwrap().unwrap() - 1.).abs() < 1e-9);
        }
    }
}
