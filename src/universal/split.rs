//! Images to train on and images to judge by, never the same.

use std::collections::BTreeSet;
use std::path::Path;

use crate::evaluation::{Case, RunError};
use crate::imaging::ImagingError;
use crate::report::manifest::sha256;

/// Two sides without an image in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Images to train on.
    pub training: Vec<Case>,
    /// Images that training never sees.
    pub held_out: Vec<Case>,
    /// Images of other data sets that training never sees either.
    pub transfer: Vec<Case>,
    /// How many images were left out of training because the same file stands on another side.
    pub left_out: usize,
}

impl Split {
    /// Leaves every file out of training whose bytes stand on another side too, under whatever name.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn new(training: Vec<Case>, held_out: Vec<Case>, transfer: Vec<Case>) -> Result<Self, RunError> {
        let judged = held_out.iter().chain(&transfer).map(|case| hash(&case.image));
        let judged = judged.collect::<Result<BTreeSet<_>, _>>()?;
        let before = training.len();
        let mut kept = Vec::with_capacity(before);
        for case in training {
            if !judged.contains(&hash(&case.image)?) {
                kept.push(case);
            }
        }
        Ok(Self { left_out: before - kept.len(), training: kept, held_out, transfer })
    }
}

fn hash(path: &Path) -> Result<String, ImagingError> {
    let failed = |source| ImagingError::Io { doing: "read", path: path.to_owned(), source };
    Ok(sha256(&std::fs::read(path).map_err(failed)?))
}
