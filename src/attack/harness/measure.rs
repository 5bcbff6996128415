//! Where a point stands in its ball, and whether its gradient can be trusted.

use candle_core::{DType, Tensor};

use super::budget::Norm;
use super::projection::Ball;
use crate::attack::AttackError;
use crate::nn::{Kernel, vectorised, with_slices};
use crate::oracle::OracleError;

/// Numbers that are looked at together; few enough for a count in 32 bits.
const CHUNK: usize = 1 << 12;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// From the clean image, in the ball's norm.
    pub distance: f64,
    /// The share of entries within the region whose gradient is exactly 0, if there is a gradient.
    pub zero_gradient_share: Option<f64>,
}

/// Measures the point `x` and the gradient there, both `[3, h, w]`.
///
/// # Errors
/// A gradient that is not finite.
pub(super) fn measure(ball: &Ball, x: &Tensor, gradient: Option<&Tensor>) -> Result<Measured, AttackError> {
    let gradient = gradient.map(|gradient| ball.allowed(gradient.detach())).transpose()?;
    let here = |t: &Tensor| t.device().is_cpu() && t.dtype() == DType::F32;
    let (distance, counted) = if here(x) && gradient.as_ref().is_none_or(here) {
        let distance = match ball.norm() {
            Norm::Linf => with_slices([x, ball.clean()], |[x, clean]| vectorised(LargestDifference { x, clean }))?,
            // Summed where and as it always was: the last digits are reported.
            Norm::L2 | Norm::L1 => ball.distance(x)?.to_scalar()?,
        };
        (
            distance,
            gradient
                .map(|gradient| with_slices([&gradient], |[gradient]| vectorised(Nonzero(gradient))))
                .transpose()?,
        )
    } else {
        on_device(ball, x, gradient.as_ref())?
    };
    let zero_gradient_share = match counted {
        None => None,
        Some(None) => return Err(OracleError::Gradient("not finite".into()).into()),
        Some(Some(nonzero)) => Some(1. - nonzero as f64 / ball.entries()),
    };
    Ok(Measured { distance, zero_gradient_share })
}

/// The distance, and how many entries of the gradient are not zero (`None` if not all are finite), in one read-back.
fn on_device(ball: &Ball, x: &Tensor, gradient: Option<&Tensor>) -> Result<(f64, Option<Option<u64>>), AttackError> {
    let distance = ball.distance(x)?;
    let Some(gradient) = gradient else {
        return Ok((distance.to_scalar()?, None));
    };
    let gradient = gradient.to_dtype(DType::F64)?;
    // Not a number and infinity both survive a sum of magnitudes; a sign would hide them.
    let magnitude = gradient.abs()?.sum_all()?;
    let nonzero = gradient.ne(0f64)?.to_dtype(DType::F64)?.sum_all()?;
    let read = Tensor::stack(&[distance, magnitude, nonzero], 0)?.to_vec1::<f64>()?;
    Ok((read[0], Some(read[1].is_finite().then_some(read[2] as u64))))
}

/// The largest distance of a number from the clean one.
struct LargestDifference<'a> {
    x: &'a [f32],
    clean: &'a [f32],
}

impl Kernel for LargestDifference<'_> {
    type Output = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        const LANES: usize = 16;
        let mut largest = [0f32; LANES];
        let keep = |largest: &mut f32, x: &f32, clean: &f32| {
            let difference = (x - clean).abs();
            *largest = if difference > *largest { difference } else { *largest };
        };
        let ((x, x_tail), (clean, clean_tail)) = (self.x.as_chunks::<LANES>(), self.clean.as_chunks::<LANES>());
        for (x, clean) in x.iter().zip(clean) {
            for (largest, (x, clean)) in largest.iter_mut().zip(x.iter().zip(clean)) {
                keep(largest, x, clean);
            }
        }
        for (x, clean) in x_tail.iter().zip(clean_tail) {
            keep(&mut largest[0], x, clean);
        }
        f64::from(largest.into_iter().fold(0., f32::max))
    }
}

/// How many are not zero; `None` if one is not finite.
struct Nonzero<'a>(&'a [f32]);

impl Kernel for Nonzero<'_> {
    type Output = Option<u64>;
    #[inline(always)]
    fn run(self) -> Option<u64> {
        /// The bits of the exponent: all are set in infinities and in what is not a number.
        const EXPONENT: u32 = 0x7f80_0000;
        const MAGNITUDE: u32 = 0x7fff_ffff;
        let (mut count, mut infinite) = (0, 0);
        for chunk in self.0.chunks(CHUNK) {
            let mut nonzero = 0;
            for value in chunk {
                let bits = value.to_bits();
                nonzero += u32::from(bits & MAGNITUDE != 0);
                infinite += u32::from(bits & EXPONENT == EXPONENT);
            }
            count += u64::from(nonzero);
        }
        (infinite == 0).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(values: Vec<f32>) -> Tensor {
        let width = values.len() / 3;
        Tensor::from_vec(values, (3, 1, width), &Device::Cpu).unwrap()
    }

    #[test]
    fn the_kernels_agree_with_the_tensor_operations() {
        let wave = |scale: f32| (0..3 * 35).map(|i| (i as f32 * 0.7 + scale).sin() * scale).collect::<Vec<_>>();
        let mut slopes = wave(2.);
        [0, 7, 50, 104].iter().for_each(|at| slopes[*at] = 0.);
        slopes[8] = -0.;
        slopes[9] = 1e-42;
        let (x, gradient) = (tensor(wave(0.3)), tensor(slopes));
        let half =
            Tensor::from_vec((0..35).map(|i| (i % 2) as f32).collect::<Vec<_>>(), (1, 35), &Device::Cpu).unwrap();
        for norm in Norm::ALL {
            for region in [None, Some(&half)] {
                let ball = Ball::new(&tensor(wave(0.2)), (norm, 0.1), region, None).unwrap();
                for gradient in [None, Some(&gradient)] {
                    let found = measure(&ball, &x, gradient).unwrap();
                    let allowed = gradient.map(|gradient| ball.allowed(gradient.clone()).unwrap());
                    let (distance, nonzero) = on_device(&ball, &x, allowed.as_ref()).unwrap();
                    let share = nonzero.map(|nonzero| 1. - nonzero.unwrap() as f64 / ball.entries());
                    assert_eq!(found, Measured { distance, zero_gradient_share: share });
                }
            }
        }
    }

    #[test]
    fn a_gradient_that_is_not_finite_is_an_error() {
        let ball = Ball::new(&tensor(vec![0.5; 6]), (Norm::Linf, 0.1), None, None).unwrap();
        for wrong in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let gradient = tensor(vec![0., 1., wrong, 0., 0., 0.]);
            let error = measure(&ball, ball.clean(), Some(&gradient)).unwrap_err();
            assert!(error.to_string().contains("not finite"), "{error}");
            assert_eq!(on_device(&ball, ball.clean(), Some(&gradient)).unwrap().1, Some(None));
        }
    }
}
