//! What an attack added to an image, made visible.

use super::{Image, ImagingError};

/// The amplified difference of two images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Perturbation {
    /// Grey 128 where nothing changed, brighter where a channel rose, darker where it fell.
    pub image: Image,
    /// How many times a change was amplified.
    pub factor: u32,
    /// One sentence that states factor, unit and range.
    pub caption: String,
}

/// Shows `adversarial - original`, amplified by the largest whole factor at which a change of `budget`
/// levels (of 255) stays in range. Without a budget, as for an attack in L2 or L1, the largest change takes its place.
///
/// # Errors
/// [`ImagingError::Mismatch`] if the images differ in size.
pub fn draw(original: &Image, adversarial: &Image, budget: Option<f32>) -> Result<Perturbation, ImagingError> {
    let (found, image) = ((adversarial.width(), adversarial.height()), (original.width(), original.height()));
    if found != image {
        return Err(ImagingError::Mismatch { what: "the adversarial image", found, image });
    }
    let changes: Vec<i32> =
        adversarial.rgb().iter().zip(original.rgb()).map(|(a, o)| i32::from(*a) - i32::from(*o)).collect();
    let largest = changes.iter().map(|c| c.unsigned_abs()).max().unwrap_or(0);
    let full = budget.filter(|b| b.is_finite() && *b > 0.).unwrap_or(largest as f32).clamp(1., 127.);
    // Rounding down keeps a change of the whole budget within 0..=255.
    let factor = (127. / full) as u32;
    let shown = |c: &i32| (128 + c * factor as i32).clamp(0, 255) as u8;
    let caption = if largest == 0 {
        "perturbation: none, no pixel changed".to_owned()
    } else {
        format!("perturbation x{factor}, at most {largest} of 255 levels; grey = unchanged")
    };
    let image = Image::new(original.width(), original.height(), changes.iter().map(shown).collect())?;
    Ok(Perturbation { image, factor, caption })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(levels: &[u8]) -> Image {
        Image::new(levels.len() / 3, 1, levels.to_vec()).unwrap()
    }

    #[test]
    fn the_budget_fills_the_range() {
        let shown = draw(&image(&[100, 100, 100]), &image(&[108, 100, 92]), Some(8.)).unwrap();
        assert_eq!(shown.factor, 15);
        assert_eq!(shown.image.rgb(), [128 + 120, 128, 128 - 120]);
        assert_eq!(shown.caption, "perturbation x15, at most 8 of 255 levels; grey = unchanged");
    }

    #[test]
    fn without_a_budget_the_largest_change_counts() {
        let shown = draw(&image(&[100, 100, 100]), &image(&[102, 101, 100]), None).unwrap();
        assert_eq!((shown.factor, shown.image.rgb()), (63, &[254, 191, 128][..]));
    }

    #[test]
    fn extremes_stay_in_range() {
        let shown = draw(&image(&[0, 255, 7]), &image(&[255, 0, 7]), Some(1.)).unwrap();
        assert_eq!(shown.image.rgb(), [255, 0, 128]);
        for budget in [Some(f32::NAN), Some(0.), Some(1e9), None] {
            let shown = draw(&image(&[3, 3, 3]), &image(&[3, 3, 3]), budget).unwrap();
            assert_eq!(shown.image.rgb(), [128; 3]);
            assert!(shown.caption.contains("no pixel changed"));
        }
    }

    #[test]
    fn other_sizes_are_refused() {
        let error = draw(&image(&[0; 3]), &image(&[0; 6]), None).unwrap_err().to_string();
        assert!(error.contains("2x1") && error.contains("1x1"), "{error}");
    }
}
