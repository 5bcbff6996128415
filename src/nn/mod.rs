//! Differentiable layers and their kernels.
