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
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::nn::testing::on_each_device;

    fn tensor(values: [f32; 6]) -> Tensor {
        Tensor::new(&values, &Device::Cpu).unwrap().reshape((3, 1, 2)).unwrap()
    }

    fn values(x: &Tensor) -> Vec<f32> {
        x.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn linf_is_cut_to_the_box_and_the_valid_range() {
        let clean = tensor([0., 0.5, 1., 0.5, 0.5, 0.5]);
        let far = tensor([-1., 2., 2., 0.5, 0.45, -3.]);
        let ball = Ball::new(&clean, (Norm::Linf, 0.125), None, Some((0., 1.))).unwrap();
        assert_eq!(values(&ball.project(&far).unwrap()), [0., 0.625, 1., 0.5, 0.45, 0.375]);
        let open = Ball::new(&clean, (Norm::Linf, 0.125), None, None).unwrap();
        assert_eq!(values(&open.project(&far).unwrap()), [-0.125, 0.625, 1.125, 0.5, 0.45, 0.375]);
    }

    #[test]
    fn l2_is_shortened_and_short_ones_are_left_alone() {
        let clean = tensor([0.5; 6]);
        let ball = Ball::new(&clean, (Norm::L2, 0.25), None, Some((0., 1.))).unwrap();
        let far = tensor([0.5 + 3., 0.5 + 4., 0.5, 0.5, 0.5, 0.5]);
        for (got, wanted) in values(&ball.project(&far).unwrap()).iter().zip([0.65, 0.7, 0.5, 0.5, 0.5, 0.5]) {
            assert!((got - wanted).abs() < 1e-6);
        }
        assert_eq!(values(&ball.project(&clean).unwrap()), [0.5; 6]);
    }

    #[test]
    fn the_sign_of_zero_is_zero() {
        let ball = Ball::new(&tensor([0.5; 6]), (Norm::Linf, 0.1), None, None).unwrap();
        let gradient = tensor([0., -0., 1e-30, -1e-30, 2., -2.]);
        assert_eq!(values(&ball.direction(&gradient).unwrap()), [0., 0., 1., -1., 1., -1.]);
    }

    #[test]
    fn a_zero_gradient_has_no_l2_direction() {
        let ball = Ball::new(&tensor([0.5; 6]), (Norm::L2, 0.1), None, None).unwrap();
        assert_eq!(values(&ball.direction(&tensor([0.; 6])).unwrap()), [0.; 6]);
    }

    #[test]
    fn the_region_is_applied_before_the_gradient_is_normalised() {
        let region = Tensor::new(&[[1f32, 0.]], &Device::Cpu).unwrap();
        let gradient = tensor([3., 100., 4., 100., 0., 100.]);
        let ball = Ball::new(&tensor([0.5; 6]), (Norm::L2, 0.1), Some(&region), None).unwrap();
        for (got, wanted) in values(&ball.direction(&gradient).unwrap()).iter().zip([0.6, 0., 0.8, 0., 0., 0.]) {
            assert!((got - wanted).abs() < 1e-6);
        }
        assert_eq!(ball.entries(), 3.);
    }

    #[test]
    fn outside_the_region_the_clean_value_returns_to_the_bit() {
        let region = Tensor::new(&[[1f32, 0.]], &Device::Cpu).unwrap();
        let clean = tensor([0.1, 0.2, 0.3, 0.4, 0.7, 0.9]);
        for norm in Norm::ALL {
            for range in [None, Some((0., 1.))] {
                let ball = Ball::new(&clean, (norm, 0.3), Some(&region), range).unwrap();
                let x = values(&ball.project(&tensor([0.9; 6])).unwrap());
                assert_eq!([x[1], x[3], x[5]], [0.2, 0.4, 0.9]);
                assert_ne!(x[0], 0.1);
            }
        }
    }

    /// What [`Ball::advance`] has to equal.
    fn composed(ball: &Ball, x: &Tensor, gradient: &Tensor, alpha: f64) -> Tensor {
        let moved = (x + (ball.direction(gradient).unwrap() * alpha).unwrap()).unwrap();
        ball.project(&moved).unwrap()
    }

    fn one_pass_is_the_composed_step_to_the_bit(device: &Device) -> Result<()> {
        let (height, width) = (61, 97);
        let pattern = |seed: usize, scale: f32| -> Vec<f32> {
            let number = |i: usize| (i.wrapping_mul(2_654_435_761) + seed * 40_503) % 10_007;
            (0..3 * height * width).map(|i| number(i) as f32 / 10_007. * scale).collect()
        };
        let image = |values: Vec<f32>| Tensor::from_vec(values, (3, height, width), &Device::Cpu);
        let clean = image(pattern(1, 1.))?;
        let x = (&clean + image(pattern(2, 0.2))?.affine(1., -0.1)?)?;
        let mut slopes: Vec<f32> = pattern(3, 2.).iter().map(|v| v - 1.).collect();
        slopes[..6].copy_from_slice(&[0., -0., f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-45]);
        let gradient = image(slopes)?;
        let region: Vec<f32> = (0..height * width).map(|i| f32::from(i % 3 != 0)).collect();
        let region = Tensor::from_vec(region, (height, width), &Device::Cpu)?;
        let put = |x: &Tensor| x.to_device(device);
        let bits = |x: &Tensor| -> Vec<u32> {
            values(&x.to_device(&Device::Cpu).unwrap()).into_iter().map(f32::to_bits).collect()
        };
        for region in [None, Some(&region)] {
            for range in [None, Some((0., 1.))] {
                for alpha in [2. / 255., 0.1] {
                    let budget = (Norm::Linf, 8. / 255.);
                    let here = Ball::new(&put(&clean)?, budget, region.map(put).transpose()?.as_ref(), range)?;
                    let found = here.advance(&put(&x)?, &put(&gradient)?, alpha)?;
                    let cpu = Ball::new(&clean, budget, region, range)?;
                    assert_eq!(bits(&found), bits(&composed(&cpu, &x, &gradient, alpha)), "{here:?} by {alpha}");
                }
            }
        }
        Ok(())
    }

    on_each_device!(one_pass_is_the_composed_step_to_the_bit);

    #[test]
    fn an_l2_step_is_the_composed_one() {
        let ball = Ball::new(&tensor([0.5; 6]), (Norm::L2, 0.1), None, Some((0., 1.))).unwrap();
        let (x, gradient) = (tensor([0.5, 0.52, 0.5, 0.48, 0.5, 0.5]), tensor([3., -1., 0., 2., 0.5, 0.]));
        let found = ball.advance(&x, &gradient, 0.15).unwrap();
        assert_eq!(values(&found), values(&composed(&ball, &x, &gradient, 0.15)));
    }

    #[test]
    fn a_step_takes_views_and_refuses_another_shape() {
        let clean = tensor([0., 0.5, 1., 0.5, 0.5, 0.5]);
        let ball = Ball::new(&clean, (Norm::Linf, 0.125), None, Some((0., 1.))).unwrap();
        let turned = Tensor::new(&[[1f32, -1., 1.], [-1., 0., 1.]], &Device::Cpu).unwrap();
        let turned = turned.t().unwrap().reshape((3, 2)).unwrap().unsqueeze(1).unwrap();
        let found = ball.advance(&clean, &turned, 0.25).unwrap();
        assert_eq!(values(&found), values(&composed(&ball, &clean, &turned, 0.25)));
        assert!(ball.advance(&clean, &Tensor::zeros((3, 2, 2), DType::F32, &Device::Cpu).unwrap(), 0.1).is_err());
    }
}
