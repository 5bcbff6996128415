//! The perturbations among which a training searches, and its random orders.

use candle_core::{DType, Device, Result, Tensor};

use crate::attack::harness::random::Stream;
use crate::attack::{Budget, Epsilon, Unit};

/// Below this a mean counts as zero.
const SMALLEST_MEAN: f64 = 1e-30;

/// All `[3, h, w]` within an L-inf budget.
#[derive(Debug, Clone)]
pub struct Within {
    zero: Tensor,
    epsilon: f64,
    budget: Budget,
    seed: u64,
}

impl Within {
    /// The perturbations of a size (height, width).
    ///
    /// # Errors
    /// A device that failed.
    pub fn new((height, width): (usize, usize), budget: Budget, seed: u64, device: &Device) -> Result<Self> {
        let zero = Tensor::zeros((3, height, width), DType::F32, device)?;
        Ok(Self { zero, epsilon: budget.epsilon.in_unit(Unit::Unit01, &[1.; 3]), budget, seed })
    }

    /// No perturbation.
    pub fn zero(&self) -> &Tensor {
        &self.zero
    }

    /// The budget in fractions of full scale.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The budget.
    pub fn budget(&self) -> Budget {
        self.budget
    }

    /// A step in fractions of full scale: `alpha`, or this share of epsilon.
    pub fn length(&self, alpha: Option<Epsilon>, share: f64) -> f64 {
        alpha.map_or(self.epsilon * share, |alpha| alpha.in_unit(Unit::Unit01, &[1.; 3]))
    }

    /// `P(v + alpha sign g)`.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn advance(&self, v: &Tensor, g: &Tensor, alpha: f64) -> Result<Tensor> {
        (v + (g.sign()? * alpha)?)?.clamp(-self.epsilon, self.epsilon)
    }

    /// `g` over the mean of its magnitudes.
    ///
    /// # Errors
    /// A device that failed.
    pub fn unit_mean(&self, g: &Tensor) -> Result<Tensor> {
        let mean = g.abs()?.to_dtype(DType::F64)?.mean_all()?.to_scalar::<f64>()?;
        g / mean.max(SMALLEST_MEAN)
    }

    /// The order in which a pass goes through `n` images.
    pub fn order(&self, pass: usize, n: usize) -> Vec<usize> {
        Stream::of(self.seed, "universal order", pass as u64).order(n)
    }
}
