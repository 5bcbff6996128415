//! Attacks that look for the smallest perturbation that meets the criterion of success.
//!
//! The budget bounds their search and is the norm that sizes are told in. Their result is the nearest point that was
//! found, not the worst mask; how large it is stands in [`Smallest`](super::Smallest). A perturbation finer than the
//! levels of an 8-bit file is enlarged until the file works too: what counts is the size of the file's.

mod alma_prox;
mod cw;
mod dag;
mod margin;
mod smallest_epsilon;

pub use alma_prox::AlmaProx;
pub use cw::Cw;
pub use dag::Dag;
pub use smallest_epsilon::SmallestEpsilon;
