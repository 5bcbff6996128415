//! Margins of single pixels, for methods that weigh each pixel by itself.

use candle_core::{DType, Tensor};

use crate::attack::{AttackError, Problem};

/// What is left to win at each pixel of the network's output, row-major.
#[derive(Debug, Clone)]
pub(super) struct Margins {
    /// How far the logit is from the wrong side (untargeted), or from the wanted one: negative once it is won.
    pub(super) left: Vec<f64>,
    /// The slope of `left` in the pixel's logit, 1 or -1.
    pub(super) slope: Vec<f64>,
}

impl Margins {
    /// Those of logits `[h, w]`.
    ///
    /// # Errors
    /// Logits of another size than the network's output.
    pub(super) fn of(problem: &Problem, logits: &Tensor) -> Result<Self, AttackError> {
        let aim = problem.aim();
        let (height, width) = logits.dims2()?;
        let wanted = aim.mask.resize(width, height);
        let away = if aim.towards { -1. } else { 1. };
        let slope: Vec<f64> = wanted.bits().iter().map(|inside| if *inside { away } else { -away }).collect();
        let logits = logits.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        Ok(Self { left: logits.iter().zip(&slope).map(|(z, slope)| z * slope).collect(), slope })
    }

    /// Number of pixels.
    pub(super) fn count(&self) -> usize {
        self.left.len()
    }
}

/// Weights of the logits `like`, `[h, w]`.
///
/// # Errors
/// Another number of weights than logits.
pub(super) fn weights(values: impl Iterator<Item = f64>, like: &Tensor) -> candle_core::Result<Tensor> {
    let values: Vec<f32> = values.map(|value| value as f32).collect();
    Tensor::from_vec(values, like.shape(), like.device())
}
