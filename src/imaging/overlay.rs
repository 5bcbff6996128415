//! One picture that shows a person what an attack did: the original, the adversarial image and the
//! perturbation side by side, with the outlines of the masks, captions and a legend. Or, without an
//! attack, one image and its prediction.
//!
//! The colours are those of Okabe and Ito (2008), which people with a colour vision deficiency can
//! tell apart.

use super::caption::{self, LINE};
use super::perturbation::Perturbation;
use super::picture::{Colour, Picture, scale};
use super::{Image, ImagingError, Mask};

/// The reference mask: bluish green.
pub const REFERENCE: Colour = [0, 158, 115];
/// The prediction on the original: sky blue.
pub const CLEAN: Colour = [86, 180, 233];
/// The prediction on the adversarial image: vermilion.
pub const ADVERSARIAL: Colour = [213, 94, 0];

const BACKGROUND: Colour = [255; 3];
const INK: Colour = [0; 3];
const GAP: usize = 16;
/// Panels are at least this wide, in pixels, and smaller images are enlarged towards it.
const NARROWEST: usize = 320;
/// Larger images are shrunk into this width and height.
const LARGEST: (usize, usize) = (960, 1280);

/// What to show. Masks have the size of the images; the captions usually state the DSC.
#[derive(Debug, Clone, Copy)]
pub struct Overlay<'a> {
    /// The image as submitted, and the caption above it.
    pub original: (&'a Image, &'a str),
    /// The image after the attack, and the caption above it.
    pub adversarial: (&'a Image, &'a str),
    /// Their amplified difference, under its own caption.
    pub perturbation: &'a Perturbation,
    /// The mask that predictions are compared with.
    pub reference: Option<&'a Mask>,
    /// The prediction on the original.
    pub clean_prediction: Option<&'a Mask>,
    /// The prediction on the adversarial image.
    pub adversarial_prediction: Option<&'a Mask>,
}

/// An outline's mask, colour and thickness in pixels.
type Outline<'a> = (&'a Mask, Colour, usize);

/// An image under its caption, with outlines on it.
struct Panel<'a> {
    image: &'a Image,
    caption: &'a str,
    outlines: [Option<Outline<'a>>; 2],
}

/// Draws the overlay.
///
/// # Errors
/// [`ImagingError::Mismatch`] if an image or mask has another size than the original.
pub fn draw(overlay: &Overlay) -> Result<Image, ImagingError> {
    let reference: Option<Outline> = overlay.reference.map(|m| (m, REFERENCE, 5));
    let clean: Option<Outline> = overlay.clean_prediction.map(|m| (m, CLEAN, 3));
    let adversarial: Option<Outline> = overlay.adversarial_prediction.map(|m| (m, ADVERSARIAL, 3));
    let panel = |(image, caption), outlines| Panel { image, caption, outlines };
    let panels = [
        panel(overlay.original, [reference, clean]),
        panel(overlay.adversarial, [reference, adversarial]),
        panel((&overlay.perturbation.image, overlay.perturbation.caption.as_str()), [None, None]),
    ];
    let entries = [
        reference.map(|_| (REFERENCE, "reference mask")),
        clean.map(|_| (CLEAN, "clean prediction")),
        adversarial.map(|_| (ADVERSARIAL, "adversarial prediction")),
    ];
    compose(&panels, &entries.into_iter().flatten().collect::<Vec<_>>())
}

/// Draws one image with the outlines of a prediction and, if there is one, of the reference mask.
///
/// # Errors
/// [`ImagingError::Mismatch`] if a mask has another size than the image.
pub fn draw_prediction(
    image: &Image,
    caption: &str,
    prediction: &Mask,
    reference: Option<&Mask>,
) -> Result<Image, ImagingError> {
    let outlines = [reference.map(|m| (m, REFERENCE, 5)), Some((prediction, CLEAN, 3))];
    let entries = [reference.map(|_| (REFERENCE, "reference mask")), Some((CLEAN, "prediction"))];
    compose(&[Panel { image, caption, outlines }], &entries.into_iter().flatten().collect::<Vec<_>>())
}

/// Sets panels side by side, above a legend.
fn compose(panels: &[Panel], legend: &[(Colour, &str)]) -> Result<Image, ImagingError> {
    let size = panels.first().map_or((1, 1), |first| (first.image.width(), first.image.height()));
    for Panel { image, outlines, .. } in panels {
        let found = (image.width(), image.height());
        if found != size {
            return Err(ImagingError::Mismatch { what: "a picture of the overlay", found, image: size });
        }
        outlines.iter().flatten().try_for_each(|(mask, ..)| mask.check_fits(image))?;
    }

    let (width, height) = fitted(size);
    let column = width.max(NARROWEST);
    let captions: Vec<_> = panels.iter().map(|panel| caption::wrap(panel.caption, column)).collect();
    let header = captions.iter().map(Vec::len).max().unwrap_or(0) * LINE;
    let total = panels.len() * (column + GAP) + GAP;
    let widths: Vec<usize> = legend.iter().map(|(_, label)| entry_width(label)).collect();
    let rows = flow(&widths, total - 2 * GAP);
    let bottom = GAP + header + height + GAP;
    let legend_height = rows.last().map_or(0, |(_, row)| (row + 1) * (LINE + 4) + GAP);

    let mut picture = Picture::new(total, bottom + legend_height, BACKGROUND);
    for (n, (panel, lines)) in panels.iter().zip(&captions).enumerate() {
        let left = GAP + n * (column + GAP);
        for (line, text) in lines.iter().enumerate() {
            caption::write(&mut picture, (left, GAP + line * LINE), text, INK);
        }
        let corner = (left + (column - width) / 2, GAP + header);
        picture.put(corner, &scale(panel.image, width, height));
        for (mask, colour, thickness) in panel.outlines.iter().flatten() {
            picture.outline(corner, &mask.resize(width, height), *colour, *thickness);
        }
    }
    for ((colour, label), (x, row)) in legend.iter().zip(rows) {
        let corner = (GAP + x, bottom + row * (LINE + 4));
        picture.fill(corner, (LINE, LINE - 4), INK);
        picture.fill((corner.0 + 2, corner.1 + 2), (LINE - 4, LINE - 8), *colour);
        caption::write(&mut picture, (corner.0 + LINE + 8, corner.1), label, INK);
    }
    Ok(picture.finish())
}

/// The size at which an image is shown: whole multiples to enlarge it, never out of proportion.
fn fitted((width, height): (usize, usize)) -> (usize, usize) {
    let times = NARROWEST.div_ceil(width).min(LARGEST.1 / height).max(1);
    let (w, h) = (width * times, height * times);
    if w <= LARGEST.0 && h <= LARGEST.1 {
        return (w, h);
    }
    // The side that exceeds its bound by more decides.
    if w * LARGEST.1 >= h * LARGEST.0 {
        (LARGEST.0, (h * LARGEST.0 / w).max(1))
    } else {
        ((w * LARGEST.1 / h).max(1), LARGEST.1)
    }
}

fn entry_width(label: &str) -> usize {
    LINE + 8 + caption::width(label) + 2 * GAP
}

/// Horizontal offset and row of each entry when they are set like words, at most `room` pixels a row.
fn flow(widths: &[usize], room: usize) -> Vec<(usize, usize)> {
    let (mut x, mut row) = (0, 0);
    let place = |width: &usize| {
        if x > 0 && x + width > room {
            (x, row) = (0, row + 1);
        }
        let at = (x, row);
        x += width;
        at
    };
    widths.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::perturbation;

    fn shown(width: usize, height: usize) -> Image {
        let image = Image::new(width, height, vec![90; width * height * 3]).unwrap();
        let mask = Mask::from_fn(width, height, |x, y| x <= width / 2 && y <= height / 2);
        let difference = perturbation::draw(&image, &image, Some(8.)).unwrap();
        draw(&Overlay {
            original: (&image, "original, DSC 0.93"),
            adversarial: (&image, "adversarial, DSC 0.12"),
            perturbation: &difference,
            reference: Some(&mask),
            clean_prediction: Some(&mask),
            adversarial_prediction: None,
        })
        .unwrap()
    }

    #[test]
    fn every_size_becomes_a_readable_picture() {
        for (width, height) in [(1, 1), (3, 2), (1, 3000), (3000, 1), (352, 288), (3000, 2000)] {
            let picture = shown(width, height);
            assert!((3 * NARROWEST..3200).contains(&picture.width()), "{width}x{height}: {}", picture.width());
            assert!(picture.height() < 1500, "{width}x{height}: {}", picture.height());
        }
    }

    #[test]
    fn outlines_have_the_colours_of_the_legend() {
        let picture = shown(352, 288);
        let has = |colour: Colour| picture.rgb().as_chunks::<3>().0.contains(&colour);
        assert!(has(REFERENCE) && has(CLEAN) && !has(ADVERSARIAL));
    }

    #[test]
    fn a_prediction_alone_is_drawn_in_one_panel() {
        let image = Image::new(352, 288, vec![90; 352 * 288 * 3]).unwrap();
        let mask = Mask::from_fn(352, 288, |x, y| x < 100 && y < 100);
        let has = |picture: &Image, colour| picture.rgb().as_chunks::<3>().0.contains(&colour);
        let alone = draw_prediction(&image, "polyp", &mask, None).unwrap();
        let both = draw_prediction(&image, "polyp", &mask, Some(&mask)).unwrap();
        assert!(has(&alone, CLEAN) && !has(&alone, REFERENCE));
        assert!(has(&both, CLEAN) && has(&both, REFERENCE));
        assert_eq!(alone.width(), 352 + 2 * GAP);
    }

    #[test]
    fn shapes_keep_their_proportions() {
        assert_eq!(fitted((352, 288)), (352, 288));
        assert_eq!(fitted((100, 50)), (400, 200));
        assert_eq!(fitted((3000, 2000)), (960, 640));
        assert_eq!(fitted((1, 1)), (320, 320));
        assert_eq!(fitted((10, 5000)), (2, 1280));
    }

    #[test]
    fn a_mask_of_another_size_is_refused() {
        let image = Image::new(8, 8, vec![0; 192]).unwrap();
        let difference = perturbation::draw(&image, &image, None).unwrap();
        let small = Mask::from_fn(4, 4, |_, _| true);
        let overlay = Overlay {
            original: (&image, ""),
            adversarial: (&image, ""),
            perturbation: &difference,
            reference: Some(&small),
            clean_prediction: None,
            adversarial_prediction: None,
        };
        let error = draw(&overlay).unwrap_err().to_string();
        assert_eq!(error, "the mask is 4x4, but the image is 8x8; both must have the same size");
    }
}
