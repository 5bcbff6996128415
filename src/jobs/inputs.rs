//! The files of a request: from uploaded bytes to the pixels that are kept, and back for the attack.
//!
//! Only pixels are kept, as 8-bit PNG: a DICOM file names a patient, its pixels do not. Of the file itself, the
//! job remembers its SHA-256. A universal perturbation is no picture, and is kept as it was read.

mod decoders;
mod hashes;
mod ingest;
mod load;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use super::{InputRecord, Inputs, Upload};

pub(super) use decoders::Decoders;
pub(super) use hashes::Hashes;
pub(super) use ingest::{Ingested, Rules, ingest, refuse};
pub(super) use load::{Loaded, load};

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Image,
    Mask,
    TargetMask,
    AllowedRegion,
    Perturbation,
}

impl Role {
    pub(super) const ALL: [Self; 5] =
        [Self::Image, Self::Mask, Self::TargetMask, Self::AllowedRegion, Self::Perturbation];

    /// The name in requests and manifests.
    pub(super) fn name(self) -> &'static str {
        &self.pointer()[1..]
    }

    /// The part of a request that holds it.
    pub(super) fn pointer(self) -> &'static str {
        match self {
            Self::Image => "/image",
            Self::Mask => "/mask",
            Self::TargetMask => "/target_mask",
            Self::AllowedRegion => "/allowed_region",
            Self::Perturbation => "/perturbation",
        }
    }

    /// The file that keeps its pixels or values.
    pub(super) fn file(self) -> String {
        let extension = if self == Self::Perturbation { "safetensors" } else { "png" };
        format!("{}.{extension}", self.name())
    }
}

impl Upload {
    /// The bytes of each file that was handed in.
    pub(super) fn files(&self) -> impl Iterator<Item = (Role, &Bytes)> {
        let Self { image, mask, target_mask, allowed_region, perturbation, .. } = self;
        let bytes = [Some(image), mask.as_ref(), target_mask.as_ref(), allowed_region.as_ref(), perturbation.as_ref()];
        Role::ALL.into_iter().zip(bytes).filter_map(|(role, bytes)| Some((role, bytes?)))
    }
}

impl Inputs {
    /// The record of each file that there is.
    pub(super) fn records(&self) -> impl Iterator<Item = (Role, &InputRecord)> {
        let Self { image, mask, target_mask, allowed_region, perturbation } = self;
        let records =
            [Some(image), mask.as_ref(), target_mask.as_ref(), allowed_region.as_ref(), perturbation.as_ref()];
        Role::ALL.into_iter().zip(records).filter_map(|(role, record)| Some((role, record?)))
    }
}
