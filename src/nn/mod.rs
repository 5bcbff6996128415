//! Differentiable layers and their kernels.
//!
//! Stock layers of the tensor library cut gradients without an error (`softmax_last_dim`, the
//! fused `LayerNorm`) and compute gradients of frozen weights. Each layer here has a forward, a
//! hand-written vector-Jacobian product and a finite-difference test. A weight gets a gradient
//! only if it is a variable, that is while training.
//!
//! On the CPU every kernel works on pieces that never cross the border between two rows of a
//! batch and never depend on the number of threads, so a row's result is the same to the last bit
//! whatever else is in its batch. On an NVIDIA GPU they are kernels of our own in f32 and bf16 (`cuda`);
//! for other devices and dtypes the layers are composed of tensor operations.

mod activation;
mod attention;
mod block;
mod buffers;
mod convolution;
#[cfg(any(feature = "cuda", test))]
pub mod cuda;
mod frozen;
mod gemm;
mod kernel;
mod layer_norm;
mod linear;
mod matmul;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use activation::{Activation, quick_gelu};
pub use attention::attention;
pub use block::{AdapterLayers, BlockLayers, BlockLayout, FusedBlock};
pub use convolution::{conv3x3, patchify, transposed_convolution};
pub(crate) use kernel::{Kernel, slice, vectorised, with_slices};
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use matmul::half::Format;
