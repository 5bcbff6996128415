//! Attacks on images, and the numbers that come of them.
//!
//! [`run_attack`] is one attack on one image, from the request to the files; [`run_grid`] is many images
//! times many attacks on one engine, [`Journal`] what need not be measured twice, and [`Summary`] what it amounts to. [`AttackRun::transfer_to`] shows a finished
//! attack to other models.

mod aggregate;
mod checklist;
mod defence_result;
mod defended;
mod grid;
mod journal;
mod patched;
mod request;
pub mod result;
mod row;
mod single;
mod transfer;

use crate::attack::AttackError;
use crate::engine::EngineError;
use crate::imaging::ImagingError;
use crate::metric::MetricError;
use crate::oracle::OracleError;

pub use aggregate::{AttackSummary, CLEAN, Estimate, SetSummary, Summary};
pub use checklist::{Check, Verdict};
pub use defence_result::{DefenceGradient, DefenceResult, Repeated};
pub use grid::{Case, Grid, Named, Planned, named_container, run_grid};
pub use journal::Journal;
pub use patched::PatchResult;
pub use request::{AttackRequest, Threat};
pub use row::{Attacked, GridRow, RowScores};
pub(crate) use row::{Column, left_out};
pub(crate) use single::objective;
pub use single::{Artifact, AttackRun, Control, logits, run_attack, segment};
pub use transfer::Transfer;

/// Why an attack has no result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The engine has stopped, or the prompt cannot be used.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The request makes no sense, or the attack failed.
    #[error(transparent)]
    Attack(#[from] AttackError),
    /// The model did not answer.
    #[error(transparent)]
    Oracle(#[from] OracleError),
    /// A picture could not be read or made.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// Masks or images could not be compared.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
