//! Losses over some of an image's pixels: what lies under a patch says nothing about the model.

use candle_core::{Device, Result, Tensor, Var};

use super::{Loss, LossError, Term};
use crate::imaging::{ImagingError, Mask};

/// The logit of a pixel that is as good as certainly background: its cross-entropy is below the smallest f32 that
/// changes a mean.
const CERTAIN: f64 = -40.;

/// The pixels of one image that count.
#[derive(Debug, Clone)]
pub struct Counted {
    /// Their places, row-major.
    index: Tensor,
    /// `[h, w]`, 1 where they are.
    here: Tensor,
}

impl Counted {
    /// All pixels but those of `ignored`, a mask of the logits' size; `None` if none is left.
    ///
    /// # Errors
    /// A device that failed.
    pub fn outside(ignored: &Mask, device: &Device) -> std::result::Result<Option<Self>, ImagingError> {
        let left = ignored.bits().iter().enumerate().filter(|(_, ignored)| !**ignored);
        let index: Vec<u32> = left.map(|(pixel, _)| pixel as u32).collect();
        if index.is_empty() {
            return Ok(None);
        }
        let here = ignored.to_tensor(device)?.affine(-1., 1.)?;
        let count = index.len();
        Ok(Some(Self { index: Tensor::from_vec(index, count, device)?, here }))
    }

    /// [`Term::value`] of logits `[h, w]` over the pixels that count: the others are taken out before the loss looks.
    /// The boundary loss needs their places; there they are certain background in logits and target.
    ///
    /// # Errors
    /// Logits or a target of another size.
    pub fn value(&self, term: Term, logits: &Tensor, target: &Tensor) -> Result<Tensor> {
        if term.loss() == Loss::BoundaryCe {
            let here = self.here.to_dtype(logits.dtype())?;
            let certain = here.affine(-CERTAIN, CERTAIN)?;
            return term.value(&((logits * &here)? + certain)?, &(target * &here)?);
        }
        let taken = |x: &Tensor| x.flatten_all()?.index_select(&self.index, 0)?.unsqueeze(0);
        term.value(&taken(logits)?, &taken(target)?)
    }

    /// [`Self::value`] and its gradient with respect to the logits, `[h, w]`; neither is connected to their graph.
    ///
    /// # Errors
    /// As [`Term::gradient`].
    pub fn gradient(
        &self,
        term: Term,
        logits: &Tensor,
        target: &Tensor,
    ) -> std::result::Result<(Tensor, Tensor), LossError> {
        let logits = Var::from_tensor(&logits.detach())?;
        let value = self.value(term, &logits, target)?;
        let gradient = value.backward()?.remove(&logits).ok_or(LossError::NoGradient(term.loss()))?;
        Ok((value.detach(), gradient))
    }

    /// The same on another device.
    ///
    /// # Errors
    /// A device that failed.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        Ok(Self { index: self.index.to_device(device)?, here: self.here.to_device(device)? })
    }

    /// Height and width of the logits it is for.
    ///
    /// # Errors
    /// None: it is always of two dimensions.
    pub fn size(&self) -> Result<(usize, usize)> {
        self.here.dims2()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;
    use crate::loss::Progress;
    use crate::nn::testing::noise;

    const SIZE: (usize, usize) = (9, 12);

    fn ignored() -> Mask {
        Mask::from_fn(SIZE.1, SIZE.0, |x, y| (3..8).contains(&x) && (2..6).contains(&y))
    }

    fn scene() -> (Tensor, Tensor) {
        let logits = (noise(3, &[SIZE.0, SIZE.1]).unwrap().to_dtype(DType::F64).unwrap() * 3.).unwrap();
        let target = Mask::from_fn(SIZE.1, SIZE.0, |x, y| x + y < 9).to_tensor(&Device::Cpu).unwrap();
        (logits, target.to_dtype(DType::F64).unwrap())
    }

    #[test]
    fn no_loss_sees_the_pixels_that_do_not_count() {
        let counted = Counted::outside(&ignored(), &Device::Cpu).unwrap().unwrap();
        let (logits, target) = scene();
        let under = ignored().to_tensor(&Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
        let (other_logits, other_target) =
            ((&logits + (&under * 7.).unwrap()).unwrap(), target.maximum(&under).unwrap());
        for loss in Loss::ALL {
            let term = Term::new(loss, false, Progress::after(1, 3));
            let value = |logits: &Tensor, target: &Tensor| {
                counted.value(term, logits, target).unwrap().to_scalar::<f64>().unwrap()
            };
            assert_eq!(value(&logits, &target), value(&other_logits, &other_target), "{loss}");
            let (_, slopes) = counted.gradient(term, &logits, &target).unwrap();
            let slopes = slopes.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            assert!(ignored().bits().iter().zip(&slopes).all(|(ignored, slope)| !ignored || *slope == 0.), "{loss}");
            assert!(slopes.iter().any(|slope| *slope != 0.), "{loss}");
        }
    }

    #[test]
    fn where_every_pixel_counts_it_is_the_loss_itself() {
        let all = Counted::outside(&Mask::from_fn(SIZE.1, SIZE.0, |_, _| false), &Device::Cpu).unwrap().unwrap();
        let (logits, target) = scene();
        for loss in Loss::ALL {
            let [found, wanted] = [all.value(loss.into(), &logits, &target), loss.value(&logits, &target)]
                .map(|value| value.unwrap().to_scalar::<f64>().unwrap());
            assert!((found - wanted).abs() < 1e-9 * (1. + wanted.abs()), "{loss}: {found} and {wanted}");
        }
        let nothing = Mask::from_fn(2, 2, |_, _| true);
        assert!(Counted::outside(&nothing, &Device::Cpu).unwrap().is_none());
    }
}
