//! Kernels of our own for NVIDIA GPUs, and the layers on top of them.
//!
//! `kernels/` holds the sources in CUDA C++, a package of its own that only the feature `cuda` builds.
//! `plan` says what each kernel is launched with, `launch` does it on a device; the other files are
//! the layers: custom operations whose forward and backward never leave the device. They take f32 and
//! bf16 and compute in f32; for any other case they answer `None`, and the caller composes the layer
//! from tensor operations.
//!
//! Without a GPU the tests run the same kernels, with the same plans, on the host.

mod plan;

#[cfg(feature = "cuda")]
mod advance;
#[cfg(feature = "cuda")]
mod attention;
#[cfg(feature = "cuda")]
mod device;
#[cfg(feature = "cuda")]
mod launch;
#[cfg(feature = "cuda")]
mod layer_norm;
#[cfg(feature = "cuda")]
mod linear;
#[cfg(feature = "cuda")]
mod quick_gelu;

#[cfg(feature = "cuda")]
pub(crate) use self::{
    advance::advance, attention::attention, layer_norm::layer_norm, linear::linear, quick_gelu::quick_gelu,
};
#[cfg(feature = "cuda")]
pub use device::{allow_tf32, open};

#[cfg(test)]
mod host;
#[cfg(test)]
mod tests;
