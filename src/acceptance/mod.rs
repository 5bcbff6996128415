//! Is what an evaluation has found still acceptable?
//!
//! [`Criteria`] are what somebody asks of a model before it is used, written in a file beside the model. [`Criteria::judge`]
//! holds the rows of an evaluation against them, limit by limit. A limit that the measured value breaks is a rejection.
//! One that is kept is accepted only where the evidence reaches that far: enough images, none left out, the whole
//! confidence interval on the right side, and attacks that behave as working attacks do. Otherwise the finding is
//! undecided, which is no acceptance: a weak attack or a few images can only flatter a model.

mod criteria;
mod judge;

pub use criteria::{Criteria, CriteriaError, Limit, Measure, Over, Requirement};
pub use judge::{Acceptance, Finding, Judgement, Measured};
