//! Attacks that never see a gradient: they ask for the objective, or for the mask alone.
//!
//! Every question is a point within the budget, has a record, and counts against `queries`. A point that was asked
//! about may become the result, probes of an estimated gradient included.

mod boundary;
mod coarse;
mod nes;
mod noise;
mod probes;
mod spsa;
mod square;
mod square_mask;
mod squares;

pub use boundary::Boundary;
pub use nes::Nes;
pub use noise::{Noise, NoiseKind};
pub use spsa::Spsa;
pub use square::Square;
pub use square_mask::SquareMask;
