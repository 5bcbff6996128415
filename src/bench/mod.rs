//! How fast a model and the engine are on this machine.
//!
//! [`step`] times what a white-box attack does over and over, a forward pass and a gradient to the image, called as
//! the engine calls it; [`peak`] the fastest matrix product of this program, to hold the step against; [`attacks`]
//! whole attacks through the engine, many at once and many in a queue. Figures are medians of several runs
//! ([`Timing`]); ratios come from runs that alternate, since a machine is rarely quiet.

pub mod attacks;
pub mod peak;
pub mod report;
pub mod sample;
pub mod step;
mod timing;

pub use timing::{Timing, median};

use crate::evaluation::RunError;
use crate::imaging::ImagingError;
use crate::loss::LossError;
use crate::model::ModelError;

/// Why something could not be timed.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The threads were started before their number was said.
    #[error("the threads have been started already: set RAYON_NUM_THREADS instead")]
    Threads,
    /// A thread that ran attacks panicked.
    #[error("an attack panicked")]
    Panicked,
    /// The model refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An attack failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The loss has no gradient.
    #[error(transparent)]
    Loss(#[from] LossError),
    /// A picture could not be made.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// Sets the number of threads of all CPU kernels; has to come before the first of them runs.
///
/// # Errors
/// [`BenchError::Threads`] if they run already.
pub fn set_threads(count: usize) -> Result<(), BenchError> {
    rayon::ThreadPoolBuilder::new().num_threads(count).build_global().map_err(|_| BenchError::Threads)
}
