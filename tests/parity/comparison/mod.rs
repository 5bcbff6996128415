//! A checkpoint held against what transformers computes with it.
//!
//! A reference folder is a checkpoint with two files more (`tests/oracle/make_parity_fixtures.py` writes them): the
//! float64 truth of every quantity, and how far PyTorch's own float32 is from it. Each comparison answers [`Row`]s.

mod adapters;
mod double;
mod forward;
mod gradient;
pub mod page;
mod probe;
mod reference;

use std::path::Path;

use anyhow::Result;
use candle_core::{DType, Tensor};

use probe::Probe;
pub use reference::Reference;

/// Forward quantities: relative 2-norm of the error.
const FORWARD: f64 = 1e-5;
/// Gradients: a unit at the kink of its ReLU passes its gradient or not as rounding will have it.
const GRADIENT: f64 = 1e-3;
/// Share of pixels whose sign or next point may differ.
const SIGNS: f64 = 1e-3;

/// One compared quantity.
#[derive(Debug)]
pub struct Row {
    /// What was compared.
    pub quantity: String,
    /// Relative error of Segprobe, or a share.
    pub error: f64,
    /// The same of PyTorch's float32, where it was measured.
    pub pytorch: Option<f64>,
    /// The largest error allowed.
    pub tolerance: f64,
}

impl Row {
    fn new(quantity: impl Into<String>, error: f64, pytorch: Option<f64>, tolerance: f64) -> Self {
        Self { quantity: quantity.into(), error, pytorch, tolerance }
    }

    /// A NaN is never within.
    pub fn within(&self) -> bool {
        self.error <= self.tolerance
    }
}

/// Every comparison of one reference folder.
pub fn all(folder: &Path) -> Result<(Reference, Vec<Row>)> {
    let reference = Reference::open(folder)?;
    let probe = Probe::open(&reference, None, DType::F32)?;
    let mut rows = vec![probe.tokens(&reference)?];
    rows.extend(forward::rows(&probe, &reference)?);
    rows.extend(gradient::rows(&probe, &reference)?);
    rows.extend(gradient::attack_rows(&probe, &reference)?);
    rows.extend(adapters::rows(&reference)?);
    rows.extend(double::rows(&reference)?);
    Ok((reference, rows))
}

/// `|ours - truth| / |truth|` in the 2-norm; infinite if the shapes differ.
fn relative(ours: &Tensor, truth: &Tensor) -> Result<f64> {
    if ours.dims() != truth.dims() {
        return Ok(f64::INFINITY);
    }
    let (ours, truth) = (ours.to_dtype(DType::F64)?, truth.to_dtype(DType::F64)?);
    let norm = |x: &Tensor| x.sqr()?.sum_all()?.to_scalar::<f64>().map(f64::sqrt);
    Ok(norm(&(ours - &truth)?)? / norm(&truth)?)
}
