//! Keeping a block's input only, and running the block again for its gradient.
//!
//! Chen et al. 2016, arXiv 1604.06174. A step then costs one more forward pass and keeps one tensor of a block instead
//! of all that its backward pass needs; the gradient is the same. For cards whose memory is small.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, Var, bail};

/// `block(x)` for a block without weights to train, which runs again when the gradient is asked for.
///
/// # Errors
/// Those of the block.
pub(super) fn recomputed(
    x: &Tensor,
    block: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    let result = block(&x.detach())?.force_contiguous()?;
    x.contiguous()?.apply_op1(Recomputed { block, result: Mutex::new(Some(result)) })
}

struct Recomputed<F> {
    block: F,
    /// Handed over to the graph, which must not keep it twice.
    result: Mutex<Option<Tensor>>,
}

impl<F> Recomputed<F> {
    fn take(&self) -> Result<Tensor> {
        let result = self.result.lock().unwrap_or_else(PoisonError::into_inner).take();
        result.ok_or_else(|| candle_core::Error::msg("a recomputed block hands its result over once"))
    }
}

impl<F: Fn(&Tensor) -> Result<Tensor> + Send + Sync> CustomOp1 for Recomputed<F> {
    fn name(&self) -> &'static str {
        "recomputed-block"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match storage.try_clone(layout)? {
            Storage::Cpu(storage) => Ok((storage, layout.shape().clone())),
            _ => bail!("a recomputed block moved to another device"),
        }
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        let result = self.take()?;
        let (storage, layout) = result.storage_and_layout();
        match storage.try_clone(layout)? {
            Storage::Cuda(storage) => Ok((storage, layout.shape().clone())),
            _ => bail!("a recomputed block moved to another device"),
        }
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let x = Var::from_tensor(&x.detach())?;
        let y = (self.block)(x.as_tensor())?;
        let mut gradients = (y * dy.detach())?.sum_all()?.backward()?;
        Ok(gradients.remove(x.as_tensor()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::testing::{gradient_error, noise};
    use crate::nn::{LayerNorm, Linear, quick_gelu};

    /// Something like a block: norm, product, curve, product, and the way around them.
    fn block() -> Result<impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + Clone + 'static> {
        let (expand, contract) = (Linear::new(&noise(2, &[12, 6])?, None)?, Linear::new(&noise(3, &[6, 12])?, None)?);
        let norm = LayerNorm::new(noise(4, &[6])?, noise(5, &[6])?, 1e-5);
        Ok(move |x: &Tensor| x + contract.forward(&quick_gelu(&expand.forward(&norm.forward(x)?)?)?)?)
    }

    #[test]
    fn the_gradient_is_that_of_the_block_to_the_last_bit() -> Result<()> {
        let (block, x, weights) = (block()?, noise(1, &[2, 5, 6])?, noise(6, &[2, 5, 6])?);
        let gradient = |f: &dyn Fn(&Tensor) -> Result<Tensor>| {
            let x = Var::from_tensor(&x)?;
            let y = f(&f(x.as_tensor())?)?;
            let gradient = (&y * &weights)?.sum_all()?.backward()?.remove(x.as_tensor()).expect("a gradient");
            Ok::<_, candle_core::Error>([y, gradient].map(|t| t.flatten_all().unwrap().to_vec1::<f64>().unwrap()))
        };
        let kept = block.clone();
        assert_eq!(gradient(&move |x| recomputed(x, kept.clone()))?, gradient(&block)?);
        let x = Var::from_tensor(&x)?;
        let error = gradient_error(&x, || recomputed(x.as_tensor(), block.clone()))?;
        assert!(error < 1e-6, "relative error {error}");
        Ok(())
    }
}
