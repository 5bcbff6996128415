//! The set of images an attack may reach, and the way back into it.
//!
//! A [`Ball`] is all that lies within the budget around the clean image, inside the valid range of
//! values and, if a region is given, differs from the clean image only there. The region is applied
//! to the gradient *before* it is normalised, so that a step is as long as it says, and again to
//! every result.

use candle_core::{DType, Result, Tensor};

use super::advance::linf_step;
use super::budget::Norm;
use super::l1;

/// Below this an L2 norm counts as zero.
const SMALLEST_NORM: f64 = 1e-12;

/// The share of entries that a step in L1 moves (Tramèr and Boneh 2019, arXiv 1904.13000).
const SPARSE_SHARE: f64 = 0.01;

/// The reachable images around a clean one.
#[derive(Debug, Clone)]
pub struct Ball {
    norm: Norm,
    radius: f64,
    clean: Tensor,
    /// 1 where the image may change, 0 elsewhere, in the shape of `clean`; `None` allows all.
    region: Option<Tensor>,
    entries: f64,
    /// The lowest and highest value of each entry in an Linf ball.
    sides: Option<(Tensor, Tensor)>,
    /// The valid range of all entries.
    range: Option<(f64, f64)>,
}

impl Ball {
    /// The ball of `radius` around `clean` `[3, h, w]`, both in the same unit.
    ///
    /// An infinite radius leaves all images of the region. `region` `[h, w]` is 1 where the image may change. `range`
    /// is the valid range of all entries; without it the ball is not clamped, as in the paper's protocol.
    ///
    /// # Errors
    /// A region of another size.
    pub fn new(
        clean: &Tensor,
        (norm, radius): (Norm, f64),
        region: Option<&Tensor>,
        range: Option<(f64, f64)>,
    ) -> Result<Self> {
        let region = region.map(|r| r.unsqueeze(0)?.broadcast_as(clean.shape())?.contiguous()).transpose()?;
        let entries = match &region {
            None => clean.elem_count() as f64,
            Some(region) => region.to_dtype(DType::F64)?.sum_all()?.to_scalar()?,
        };
        let point = Self { norm, radius: 0., clean: clean.clone(), region, entries, sides: None, range };
        point.with_radius(radius)
    }

    /// The ball of another radius around the same image.
    ///
    /// # Errors
    /// A device that failed.
    pub fn with_radius(&self, radius: f64) -> Result<Self> {
        let sides = match self.norm {
            Norm::L2 | Norm::L1 => None,
            Norm::Linf => {
                // Infinity times 0 would be no number.
                let reach = (self.allowed(self.clean.ones_like()?)? * radius.min(f64::from(f32::MAX)))?;
                Some(((&self.clean - &reach)?, (&self.clean + &reach)?))
            }
        };
        Ok(Self { radius, sides, ..self.clone() })
    }

    /// The lowest and the highest value of each entry `[3, h, w]` in an Linf ball.
    ///
    /// # Errors
    /// What the device reports.
    pub fn corners(&self) -> Result<[Tensor; 2]> {
        let beyond = 2. * self.radius;
        Ok([self.project(&(&self.clean - beyond)?)?, self.project(&(&self.clean + beyond)?)?])
    }

    /// The norm the radius is measured in.
    pub fn norm(&self) -> Norm {
        self.norm
    }

    /// The radius, in the unit of the clean image's values.
    pub fn radius(&self) -> f64 {
        self.radius
    }

    /// The clean image `[3, h, w]`.
    pub fn clean(&self) -> &Tensor {
        &self.clean
    }

    /// The valid range of all entries, if they have to be in one.
    pub fn range(&self) -> Option<(f64, f64)> {
        self.range
    }

    /// How many entries may change.
    pub fn entries(&self) -> f64 {
        self.entries
    }

    /// The point of the ball that replaces `x` `[3, h, w]`: the nearest one for Linf and L1; for L2 the
    /// perturbation is shortened, then clamped, which cannot lengthen it.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn project(&self, x: &Tensor) -> Result<Tensor> {
        if self.norm == Norm::L1 {
            return l1::project(x, (&self.clean, self.radius), self.region.as_ref(), self.range);
        }
        let x = match &self.sides {
            Some((low, high)) => x.maximum(low)?.minimum(high)?,
            None => {
                let delta = self.allowed((x - &self.clean)?)?;
                let shrink = (length(&delta)?.recip()? * self.radius)?.minimum(1.)?;
                (&self.clean + delta.broadcast_mul(&shrink.to_dtype(delta.dtype())?)?)?
            }
        };
        match self.range {
            Some((from, to)) => x.clamp(from, to),
            None => Ok(x),
        }
    }

    /// The steepest direction of unit length inside the region: the sign of the gradient for Linf
    /// (0 where the gradient is 0), the gradient over its norm for L2. For L1 that direction would move one entry
    /// at a time: it is the sign of the largest hundredth instead.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn direction(&self, gradient: &Tensor) -> Result<Tensor> {
        let gradient = self.allowed(gradient.detach())?;
        match self.norm {
            Norm::Linf => gradient.sign(),
            Norm::L2 => gradient.broadcast_div(&length(&gradient)?.to_dtype(gradient.dtype())?),
            Norm::L1 => l1::sparse_direction(&gradient, SPARSE_SHARE, self.entries),
        }
    }

    /// The direction of L1 length 1 along the signs of the largest entries of `gradient` `[3, h, w]`, a `share` of
    /// those in the region.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn sparse_direction(&self, gradient: &Tensor, share: f64) -> Result<Tensor> {
        l1::sparse_direction(&self.allowed(gradient.detach())?, share, self.entries)
    }

    /// One step of an attack: the point that replaces `x + alpha direction(gradient)`. `alpha` is in
    /// the unit of the clean image's values.
    ///
    /// The same as [`Self::direction`] and [`Self::project`] one after the other, to the bit; in f32 and
    /// Linf it reads and writes each number once. In L1 the entries do not count that are at the end of the valid
    /// range already, where the few that move would be wasted.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn advance(&self, x: &Tensor, gradient: &Tensor, alpha: f64) -> Result<Tensor> {
        if self.norm == Norm::Linf {
            let clean = (&self.clean, self.radius);
            if let Some(next) = linf_step(x, gradient, clean, self.region.as_ref(), alpha, self.range)? {
                return Ok(next);
            }
        }
        if let (Norm::L1, Some(range)) = (self.norm, self.range) {
            let free = l1::where_free(x, gradient, range)?;
            return self.project(&(x + (self.direction(&free)? * alpha)?)?);
        }
        self.project(&(x + (self.direction(gradient)? * alpha)?)?)
    }

    /// `x` inside the region, 0 outside.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn allowed(&self, x: Tensor) -> Result<Tensor> {
        within(&self.region, x)
    }

    /// The distance of `x` `[3, h, w]` from the clean image in the ball's norm, as a scalar tensor
    /// of f64 that is still on the device.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn distance(&self, x: &Tensor) -> Result<Tensor> {
        let delta = (x - &self.clean)?.to_dtype(DType::F64)?;
        match self.norm {
            Norm::Linf => delta.abs()?.max_all(),
            Norm::L2 => delta.sqr()?.sum_all()?.sqrt(),
            Norm::L1 => delta.abs()?.sum_all(),
        }
    }

    /// How many entries of `x` `[3, h, w]` differ from the clean image.
    ///
    /// # Errors
    /// A tensor of another shape.
    pub fn changed(&self, x: &Tensor) -> Result<f64> {
        x.ne(&self.clean)?.to_dtype(DType::F64)?.sum_all()?.to_scalar()
    }
}

fn within(region: &Option<Tensor>, x: Tensor) -> Result<Tensor> {
    match region {
        None => Ok(x),
        Some(region) => x * region,
    }
}

/// The L2 norm over the whole tensor as a scalar, not below `SMALLEST_NORM`; summed in f64, because millions
/// of f32 squares lose digits.
///
/// # Errors
/// A device that failed.
pub fn length(x: &Tensor) -> Result<Tensor> {
    x.to_dtype(DType::F64)?.sqr()?.sum_all()?.sqrt()?.maximum(SMALLEST_NORM)
}

#[cfg(test)]
mod tests;
