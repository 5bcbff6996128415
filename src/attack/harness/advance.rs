//! The step of an attack inside an Linf ball, reading and writing each number once.
//!
//! Composed of tensor operations a step makes seven temporary images. The arithmetic here is the same,
//! operation by operation, so the results are equal to the bit.

use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};
use rayon::prelude::*;

/// Numbers of one piece of work.
const PIECE: usize = 1 << 14;

/// `x + alpha sign(gradient)`, cut to `radius` around `clean` and to `range`; nothing moves where
/// `region` is 0. All f32 and of one shape; `None` for anything else.
///
/// # Errors
/// What the device reports.
pub(super) fn linf_step(
    x: &Tensor,
    gradient: &Tensor,
    (clean, radius): (&Tensor, f64),
    region: Option<&Tensor>,
    alpha: f64,
    range: Option<(f64, f64)>,
) -> Result<Option<Tensor>> {
    #[cfg(feature = "cuda")]
    if let Some(next) = crate::nn::cuda::advance(x, gradient, (clean, radius), region, alpha, range)? {
        return Ok(Some(next));
    }
    let fits = |t: &Tensor| t.device().is_cpu() && t.dtype() == DType::F32 && t.dims() == x.dims();
    if ![x, gradient, clean].into_iter().chain(region).all(fits) {
        return Ok(None);
    }
    let (low, high) = range.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let step = Step {
        alpha: alpha as f32,
        radius: radius as f32,
        low: low as f32,
        high: high as f32,
        region: region.map(Tensor::contiguous).transpose()?,
    };
    x.contiguous()?.apply_op3_no_bwd(&gradient.contiguous()?, &clean.contiguous()?, &step).map(Some)
}

struct Step {
    alpha: f32,
    radius: f32,
    low: f32,
    high: f32,
    region: Option<Tensor>,
}

impl Step {
    /// The next value of an entry; `allowed` is 1 inside the region and 0 outside.
    #[inline(always)]
    fn entry(&self, x: f32, gradient: f32, clean: f32, allowed: f32) -> f32 {
        let sign = f32::from(gradient > 0.) - f32::from(gradient < 0.);
        let reach = allowed * self.radius;
        // not `clamp`: NaN and signed zeros come out as they do from the tensor operations
        let at_least = |value: f32, low: f32| if value < low { low } else { value };
        let at_most = |value: f32, high: f32| if value > high { high } else { value };
        let moved = x + (sign * self.alpha + 0.);
        at_most(at_least(at_most(at_least(moved, clean - reach), clean + reach), self.low), self.high)
    }
}

impl CustomOp3 for Step {
    fn name(&self) -> &'static str {
        "linf-step"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        gradient: &CpuStorage,
        gl: &Layout,
        clean: &CpuStorage,
        cl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, gradient, clean) = (numbers(x, xl)?, numbers(gradient, gl)?, numbers(clean, cl)?);
        let mut next = vec![0f32; x.len()];
        let pieces = next.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE));
        let pieces = pieces.zip(gradient.par_chunks(PIECE).zip(clean.par_chunks(PIECE)));
        match &self.region {
            None => pieces.for_each(|((next, x), (gradient, clean))| {
                for ((next, x), (gradient, clean)) in next.iter_mut().zip(x).zip(gradient.iter().zip(clean)) {
                    *next = self.entry(*x, *gradient, *clean, 1.);
                }
            }),
            Some(region) => {
                let (storage, layout) = region.storage_and_layout();
                let Storage::Cpu(region) = &*storage else { bail!("the region is not on the CPU") };
                let region = numbers(region, layout)?;
                pieces.zip(region.par_chunks(PIECE)).for_each(|(((next, x), (gradient, clean)), region)| {
                    let inputs = x.iter().zip(gradient).zip(clean.iter().zip(region));
                    for (next, ((x, gradient), (clean, allowed))) in next.iter_mut().zip(inputs) {
                        *next = self.entry(*x, *gradient * *allowed, *clean, *allowed);
                    }
                });
            }
        }
        Ok((CpuStorage::F32(next), xl.shape().clone()))
    }
}

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a step was given a strided operand of shape {:?}", layout.shape()),
    }
}
