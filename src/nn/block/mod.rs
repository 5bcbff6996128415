//! A transformer block with frozen weights as one differentiable operation.
//!
//! Attention, MLP, norms and adapters with a hand-written vector-Jacobian product: there are two
//! hand-overs between threads a pass, no tensor between the layers, and nothing is kept but what the
//! gradient needs (queries, keys and values, the sums of the softmax, two states of the rows and the
//! MLP's wide layer). While training, and on other devices, a block is composed of layers instead.

mod adapter;
mod attention;
mod layers;
mod pass;
mod products;
mod shape;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

use self::adapter::Bottleneck;
use self::layers::{Adapted, Layers, Norm, Stack};
use self::pass::Kept;
use self::shape::Sizes;
use super::buffers::Buffered;
use super::frozen::Frozen;
use super::kernel::{slice, tensor, with_slices};
use super::linear::FrozenWeights;
use super::matmul::Lane;
use super::matmul::half::Format;
use super::{Activation, LayerNorm, Linear};

/// How a block is put together.
#[derive(Debug, Clone, Copy)]
pub struct BlockLayout {
    /// Heads of the attention.
    pub heads: usize,
    /// Later tokens are hidden from earlier ones.
    pub causal: bool,
    /// Between the MLP's layers.
    pub activation: Activation,
    /// `x + f(norm(x))`, as in CLIP; otherwise `norm(x + f(x))`.
    pub norm_first: bool,
}

/// The layers of a block.
#[derive(Debug, Clone)]
pub struct BlockLayers {
    /// Queries, keys and values side by side, `[3 width, width]`.
    pub qkv: Linear,
    /// After the heads, `[width, width]`.
    pub out: Linear,
    /// First layer of the MLP, `[inner, width]`.
    pub expand: Linear,
    /// Second layer of the MLP, `[width, inner]`.
    pub contract: Linear,
    /// The norm of the attention.
    pub norm1: LayerNorm,
    /// The norm of the MLP.
    pub norm2: LayerNorm,
}

/// A frozen block in one operation.
#[derive(Debug, Clone)]
pub struct FusedBlock(Typed);

#[derive(Debug, Clone)]
enum Typed {
    F32(Arc<Inner<f32>>),
    F64(Arc<Inner<f64>>),
}

#[derive(Debug)]
struct Inner<T> {
    layers: Layers<T>,
    heads: usize,
    causal: bool,
}

/// Down and up projection of an adapter, `b + relu(up(relu(down(b))))`.
pub type AdapterLayers<'a> = (&'a Linear, &'a Linear);

impl FusedBlock {
    /// The block of these layers; `None` where it has to be composed: weights that may change, another device than
    /// the CPU, or an activation without a kernel.
    ///
    /// # Errors
    /// Heads that do not divide the width.
    pub fn new(layers: &BlockLayers, layout: BlockLayout) -> Result<Option<Self>> {
        let width = layers.norm1.parts().0.elem_count();
        if layout.heads == 0 || !width.is_multiple_of(layout.heads) {
            bail!("{} heads do not divide {width} features", layout.heads);
        }
        if !layout.activation.has_kernel() {
            return Ok(None);
        }
        let linears = [&layers.qkv, &layers.out, &layers.expand, &layers.contract];
        Ok(match linears.map(Linear::frozen) {
            [
                Some(FrozenWeights::F32(qkv)),
                Some(FrozenWeights::F32(out)),
                Some(FrozenWeights::F32(expand)),
                Some(FrozenWeights::F32(contract)),
            ] => Some(Self(Typed::F32(Arc::new(Inner::new([qkv, out, expand, contract], layers, layout)?)))),
            [
                Some(FrozenWeights::F64(qkv)),
                Some(FrozenWeights::F64(out)),
                Some(FrozenWeights::F64(expand)),
                Some(FrozenWeights::F64(contract)),
            ] => Some(Self(Typed::F64(Arc::new(Inner::new([qkv, out, expand, contract], layers, layout)?)))),
            _ => None,
        })
    }

    /// Whether these adapters can be part of the operation; while they are trained they cannot.
    pub fn takes(adapter: Option<AdapterLayers>) -> bool {
        adapter.is_none_or(|(down, up)| down.frozen().is_some() && up.frozen().is_some())
    }

    /// `[batch, tokens, width]` to the same shape, with adapters on what attention and MLP add. With a format, the factors
    /// of products with weights are rounded to it; a block of f64 numbers does not round.
    ///
    /// # Errors
    /// An input of another width or dtype, adapters that are trained.
    pub fn forward(&self, x: &Tensor, adapters: [Option<AdapterLayers>; 2], format: Option<Format>) -> Result<Tensor> {
        let x = x.contiguous()?;
        match &self.0 {
            Typed::F32(inner) => inner.clone().apply(&x, adapters.map(|a| a.map(bottleneck_f32)), format),
            Typed::F64(inner) => inner.clone().apply(&x, adapters.map(|a| a.map(bottleneck_f64)), None),
        }
    }
}

fn bottleneck_f32((down, up): AdapterLayers) -> Option<Bottleneck<f32>> {
    match (down.frozen()?, up.frozen()?) {
        (FrozenWeights::F32(down), FrozenWeights::F32(up)) => Some(Bottleneck { down, up }),
        _ => None,
    }
}

fn bottleneck_f64((down, up): AdapterLayers) -> Option<Bottleneck<f64>> {
    match (down.frozen()?, up.frozen()?) {
        (FrozenWeights::F64(down), FrozenWeights::F64(up)) => Some(Bottleneck { down, up }),
        _ => None,
    }
}

impl<T: Lane + Buffered> Inner<T> {
    fn new(linears: [Arc<Frozen<T>>; 4], layers: &BlockLayers, layout: BlockLayout) -> Result<Self> {
        let [qkv, out, expand, contract] = linears;
        let norm = |norm: &LayerNorm| -> Result<Norm<T>> {
            let (weight, bias, epsilon) = norm.parts();
            let numbers = |t: &Tensor| with_slices([t], |[t]: [&[T]; 1]| t.to_vec());
            Ok(Norm { weight: numbers(weight)?, bias: numbers(bias)?, epsilon })
        };
        let BlockLayout { heads, causal, activation, norm_first } = layout;
        let (norm1, norm2) = (norm(&layers.norm1)?, norm(&layers.norm2)?);
        let layers = Layers { qkv, out, expand, contract, norm1, norm2, activation, norm_first };
        Ok(Self { layers, heads, causal })
    }

    fn apply(
        self: Arc<Self>,
        x: &Tensor,
        adapters: [Option<Option<Bottleneck<T>>>; 2],
        format: Option<Format>,
    ) -> Result<Tensor>
    where
        Self: Send + Sync + 'static,
    {
        let (items, tokens, width) = x.dims3()?;
        let layers = &self.layers;
        if width != layers.out.out() || x.dtype() != T::DTYPE {
            bail!(
                "a block of {} features in {:?} was given {:?} in {:?}",
                layers.out.out(),
                T::DTYPE,
                x.shape(),
                x.dtype()
            );
        }
        let [attention, output] = adapters.map(|adapter| match adapter {
            Some(None) => bail!("an adapter that is trained cannot be part of a frozen block"),
            Some(adapter) => Ok(adapter),
            None => Ok(None),
        });
        let adapters = Adapted { attention: attention?, output: output? };
        let sizes = Sizes { items, tokens, width, heads: self.heads, inner: layers.expand.out() };
        // While nothing asks for a gradient, nothing is kept for one.
        let keep = x.track_op();
        x.apply_op1(Op { block: self, adapters, sizes, format, keep, kept: Mutex::new(None) })
    }
}

/// One call of a block.
struct Op<T: Lane + Buffered> {
    block: Arc<Inner<T>>,
    adapters: Adapted<T>,
    sizes: Sizes,
    format: Option<Format>,
    keep: bool,
    /// From the forward pass to the backward pass.
    kept: Mutex<Option<Kept<T>>>,
}

impl<T: Lane + Buffered> Op<T> {
    fn stack(&self) -> Stack<'_, T> {
        Stack { layers: &self.block.layers, adapters: &self.adapters, format: self.format }
    }
}

impl<T: Lane + Buffered> CustomOp1 for Op<T> {
    fn name(&self) -> &'static str {
        "transformer-block"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (y, kept) = pass::forward(self.stack(), &self.sizes, self.block.causal, slice::<T>(x, layout)?);
        if self.keep {
            *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
        Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let Some(mut kept) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            bail!("the gradient of a block was asked for twice: run the forward pass again");
        };
        let dx = with_slices([x, dy], |slices: [&[T]; 2]| {
            pass::backward(self.stack(), &self.sizes, self.block.causal, &mut kept, slices)
        })?;
        Ok(Some(tensor(dx, x.shape())?))
    }
}
