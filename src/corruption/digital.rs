//! What storing a picture does to it.

use super::Severity;
use crate::drawing::{Canvas, Draws, Frame};
use crate::imaging::{Image, ImagingError, Limits, decode, encode};

/// Quality of the JPEG, of 100.
const QUALITY: [u8; 5] = [50, 30, 18, 10, 5];
/// Side of a block, as a share of the short side.
const BLOCK: [f32; 5] = [0.010, 0.016, 0.024, 0.036, 0.052];

/// Written as a JPEG with halved colour resolution, and read again.
pub(super) fn jpeg(image: &Image, severity: Severity) -> Result<Image, ImagingError> {
    // The limits are for files that come from outside.
    let limits = Limits { bytes: u64::MAX, pixels: u64::MAX, side: u32::MAX };
    Ok(decode::decode(&encode::jpeg(image, severity.of(QUALITY))?, &limits)?.image)
}

/// Every pixel of a block has the block's mean. Blocks at the right and lower border may be smaller.
pub(super) fn pixelate(canvas: &mut Canvas, severity: Severity, _draws: &mut Draws) {
    let Frame { width, height } = canvas.frame();
    let share = (severity.of(BLOCK) * width.min(height) as f32).round() as usize;
    let side = share.max(usize::from(severity.level()) + 1);
    let pixels = canvas.pixels_mut();
    for top in (0..height).step_by(side) {
        for left in (0..width).step_by(side) {
            let rows = top..(top + side).min(height);
            let columns = left..(left + side).min(width);
            let places = || rows.clone().flat_map(|y| columns.clone().map(move |x| y * width + x));
            let count = (rows.len() * columns.len()) as f32;
            let mean: [f32; 3] = std::array::from_fn(|c| places().map(|at| pixels[at][c]).sum::<f32>() / count);
            places().for_each(|at| pixels[at] = mean);
        }
    }
}
