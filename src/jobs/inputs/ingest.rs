//! From uploaded bytes to pixels, and all checks that need both the files and the spec.

use bytes::Bytes;

use super::{Hashes, Role};
use crate::attack::{Goal, UniversalPerturbation, check_perturbation};
use crate::imaging::{Decoded, Image, ImagingError, Limits, Mask, Selection, decode, encode};
use crate::jobs::{InputRecord, Inputs, JobError, SpecError, Upload};
use crate::model::Preprocess;

/// What pictures have to keep to.
#[derive(Debug, Clone)]
pub(in crate::jobs) struct Rules {
    pub(in crate::jobs) limits: Limits,
    /// The model's input; a budget may not exceed its full scale.
    pub(in crate::jobs) input: Preprocess,
}

/// Pictures that fit each other and the spec.
#[derive(Debug)]
pub(in crate::jobs) struct Ingested {
    pub(in crate::jobs) inputs: Inputs,
    /// Their pixels as they are kept.
    pub(in crate::jobs) files: Vec<(Role, Bytes)>,
}

/// Reads and checks the pictures of a request.
pub(in crate::jobs) fn ingest(upload: &Upload, hashes: &Hashes, rules: &Rules) -> Result<Ingested, JobError> {
    let spec = &upload.spec;
    let selection = Selection { frame: spec.frame, window: spec.window };
    let Decoded { image, container, notes } = decode::decode_with(&upload.image, &rules.limits, &selection)
        .map_err(|source| refuse(Role::Image.pointer(), source))?;
    if let Some(budget) = spec.budget {
        let checked = budget.check(image.rgb().len(), &rules.input.std);
        checked.map_err(|error| SpecError::new("/spec/budget/epsilon", error))?;
    }
    let kept = |role: Role, format: String, (height, width): (usize, usize), notes: Vec<String>| InputRecord {
        sha256: hashes.get(role),
        bytes: upload.files().find(|(found, _)| *found == role).map_or(0, |(_, bytes)| bytes.len() as u64),
        format,
        width,
        height,
        notes,
    };
    let size = (image.height(), image.width());
    let bytes = encode::quick_png(&image).map_err(|source| refuse(Role::Image.pointer(), source))?;
    let mut files = vec![(Role::Image, bytes.into())];
    let mut inputs = Inputs {
        image: kept(Role::Image, container.to_string().to_lowercase(), size, notes),
        mask: None,
        target_mask: None,
        allowed_region: None,
        perturbation: None,
    };
    if let Some(read) = perturbation(upload)? {
        let bytes = read.to_bytes().map_err(|error| SpecError::new(Role::Perturbation.pointer(), error))?;
        files.push((Role::Perturbation, bytes.into()));
        inputs.perturbation = Some(kept(Role::Perturbation, "safetensors".into(), read.size(), vec![]));
    }
    let (mut reference, mut target, mut region) = (None, None, None);
    for (role, bytes) in upload.files().filter(|(role, _)| !matches!(role, Role::Image | Role::Perturbation)) {
        let mask = fitting_mask(bytes, (role, &image), &rules.limits)?;
        files.push((role, encode::mask_png(&mask).map_err(|source| refuse(role.pointer(), source))?.into()));
        let record = Some(kept(role, format_of(bytes), size, vec![]));
        match role {
            Role::Image | Role::Perturbation | Role::Mask => {
                inputs.mask = record;
                reference = Some(mask);
            }
            Role::AllowedRegion => {
                inputs.allowed_region = record;
                region = Some(mask);
            }
            Role::TargetMask => {
                inputs.target_mask = record;
                target = Some(mask);
            }
        }
    }
    let goal = Goal::new(spec.goal.clone(), target);
    let goal = goal.map_err(|error| SpecError::new(Role::TargetMask.pointer(), error))?;
    if let Some(reference) = reference {
        goal.check_against(&reference).map_err(SpecError::from)?;
    }
    spec.attack.attack().placement((image.width(), image.height()), region.as_ref()).map_err(SpecError::from)?;
    Ok(Ingested { inputs, files })
}

/// The perturbation, read strictly: it is kept as it is written again, so that nothing else is.
fn perturbation(upload: &Upload) -> Result<Option<UniversalPerturbation>, SpecError> {
    let blame = |error: &dyn std::error::Error| SpecError::new(Role::Perturbation.pointer(), error);
    let given = upload.perturbation.as_ref();
    check_perturbation(&upload.spec.attack, given.is_some()).map_err(|error| blame(&error))?;
    given.map(|bytes| UniversalPerturbation::from_bytes(bytes).map_err(|error| blame(&error))).transpose()
}

fn fitting_mask(bytes: &[u8], (role, image): (Role, &Image), limits: &Limits) -> Result<Mask, JobError> {
    let mask = decode::decode_mask(bytes, limits).map_err(|source| refuse(role.pointer(), source))?;
    mask.check_fits(image).map_err(|source| refuse(role.pointer(), source))?;
    if role == Role::AllowedRegion && mask.area() == 0 {
        let detail = "the allowed region is empty: allow at least one pixel, or leave it out to allow all";
        return Err(SpecError::new(role.pointer(), detail).into());
    }
    Ok(mask)
}

fn format_of(bytes: &[u8]) -> String {
    crate::imaging::Container::of(bytes).map_or_else(String::new, |container| container.to_string().to_lowercase())
}

/// A picture that cannot be used: the fault of the part at `pointer`, or of what the spec wants of it.
pub(in crate::jobs) fn refuse(pointer: &'static str, source: ImagingError) -> JobError {
    let pointer = match source {
        ImagingError::NoSuchFrame { .. } => "/spec/frame",
        ImagingError::Window(_) => "/spec/window",
        _ => pointer,
    };
    JobError::Picture { pointer, source }
}
