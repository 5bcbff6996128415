//! What is segmented and attacked: a picture, its mask, a prompt.

use candle_core::{Device, Tensor};

use super::BenchError;
use crate::imaging::{Image, Mask};
use crate::model::{Preprocess, resize_image};
use crate::phantom;

/// Pixels between the pictures of neighbouring rows.
const SHIFT_PX: i32 = 16;

/// A picture with the mask of what the prompt names.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The picture.
    pub image: Image,
    /// The reference mask, of the picture's size.
    pub mask: Mask,
    /// The text that names the structure.
    pub prompt: String,
}

impl Sample {
    /// The synthetic samples that come with the program, one of each modality.
    pub fn all() -> Vec<Self> {
        let drawn = |sample: phantom::Sample| {
            let (image, mask) = phantom::draw(sample.kind, sample.seed, sample.width, sample.height);
            Self { image, mask, prompt: sample.kind.prompt().into() }
        };
        phantom::samples().into_iter().map(drawn).collect()
    }
}

/// A batch made of one sample: every row shows it shifted by another 16 px to the right, wrapped round, so that no two
/// rows are the same.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, 3, side, side]` in [0, 1].
    pub images: Tensor,
    /// `[batch, 3, side, side]`: the same, normalised.
    pub pixel_values: Tensor,
    /// `[batch, side, side]`, 0 or 1.
    pub targets: Tensor,
}

impl Batch {
    /// `count` rows of `side` pixels on a device.
    ///
    /// # Errors
    /// A tensor that does not fit the device.
    pub fn new(
        sample: &Sample,
        count: usize,
        side: usize,
        input: &Preprocess,
        device: &Device,
    ) -> Result<Self, BenchError> {
        let image = resize_image(&sample.image, (side, side))?.to_tensor(&Device::Cpu)?;
        let target = sample.mask.resize(side, side).to_tensor(&Device::Cpu)?;
        let rows = |x: &Tensor, width: usize| -> candle_core::Result<Tensor> {
            let rows = (0..count as i32).map(|i| x.roll(i * SHIFT_PX, width)).collect::<Result<Vec<_>, _>>()?;
            Tensor::stack(&rows, 0)?.to_device(device)
        };
        let images = rows(&image, 2)?;
        Ok(Self { pixel_values: input.normalise(&images)?, images, targets: rows(&target, 1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shifted_copies_with_their_masks() -> Result<(), BenchError> {
        let input = Preprocess { height: 64, width: 64, mean: [0.; 3], std: [1.; 3] };
        let sample = &Sample::all()[0];
        let batch = Batch::new(sample, 3, 64, &input, &Device::Cpu)?;
        assert_eq!((batch.images.dims(), batch.targets.dims()), (&[3, 3, 64, 64][..], &[3, 64, 64][..]));
        let part = |x: &Tensor, row, from| x.get(row)?.narrow(1, from, 32)?.flatten_all()?.to_vec1::<f32>();
        assert_eq!(part(&batch.targets, 0, 0)?, part(&batch.targets, 2, 32)?);
        assert_ne!(part(&batch.targets, 0, 0)?, part(&batch.targets, 2, 0)?);
        let pixels = |row, from| batch.images.get(row)?.narrow(2, from, 16)?.flatten_all()?.to_vec1::<f32>();
        assert_eq!(pixels(0, 16)?, pixels(1, 32)?);
        Ok(())
    }
}
