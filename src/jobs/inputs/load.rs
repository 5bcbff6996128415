//! The request of a job as the attack takes it, from what was kept.

use std::sync::Arc;

use bytes::Bytes;

use super::Role;
use crate::artifact::{ArtifactError, Artifacts, layout};
use crate::attack::{Goal, UniversalPerturbation};
use crate::evaluation::{AttackRequest, Threat};
use crate::imaging::{Container, Decoded, ImagingError, Limits, Mask, decode};
use crate::jobs::Job;

/// Whatever was accepted once is accepted here.
const NO_LIMITS: Limits = Limits { bytes: u64::MAX, pixels: u64::MAX, side: u32::MAX };

/// A request with the files it was read from.
pub(in crate::jobs) struct Loaded {
    pub(in crate::jobs) request: AttackRequest,
    /// The image, canonical.
    pub(in crate::jobs) image: Bytes,
    /// The reference mask, canonical.
    pub(in crate::jobs) reference: Option<Bytes>,
}

/// Reads the files of a job. The pictures' checksums are those of PNG itself.
pub(in crate::jobs) async fn load(artifacts: &Artifacts, job: &Job) -> Result<Loaded, ArtifactError> {
    let prefix = layout::inputs(job.id.0);
    let mut files = Vec::new();
    for (role, _) in job.inputs.records() {
        let name = role.file();
        let bytes = artifacts.get(&prefix, &name).await?.ok_or(ArtifactError::Damaged { name })?;
        files.push((role, bytes));
    }
    let job = job.clone();
    let read = tokio::task::spawn_blocking(move || request(&job, &files));
    read.await.map_err(|_| ArtifactError::Unavailable("the pictures could not be read".into()))?
}

fn request(job: &Job, files: &[(Role, Bytes)]) -> Result<Loaded, ArtifactError> {
    let find = |role: Role| files.iter().find(|(found, _)| *found == role).map(|(_, bytes)| bytes.clone());
    let mask = |role: Role| find(role).map(|bytes| pixels(job, role, decode::decode_mask(&bytes, &NO_LIMITS)));
    let image = find(Role::Image).unwrap_or_default();
    let decoded = pixels(job, Role::Image, decode::decode(&image, &NO_LIMITS))?;
    let target: Option<Mask> = mask(Role::TargetMask).transpose()?;
    let spec = &job.spec;
    let goal =
        Goal::new(spec.goal.clone(), target).map_err(|_| ArtifactError::Damaged { name: Role::TargetMask.file() })?;
    let request = AttackRequest {
        image: Decoded {
            image: decoded.image,
            container: container(&job.inputs.image.format),
            notes: job.inputs.image.notes.clone(),
        },
        reference: mask(Role::Mask).transpose()?,
        prompt: spec.prompt.clone(),
        attack: spec.attack.clone(),
        threat: Threat {
            budget: spec.budget,
            goal,
            perturbation: find(Role::Perturbation).map(|bytes| perturbation(job, &bytes)).transpose()?,
            region: mask(Role::AllowedRegion).transpose()?,
            criterion: spec.success,
        },
        defence: spec.defence.clone(),
        protocol: spec.protocol,
        loss: spec.loss,
        seed: spec.seed,
    };
    Ok(Loaded { request, image, reference: find(Role::Mask) })
}

fn perturbation(job: &Job, bytes: &[u8]) -> Result<Arc<UniversalPerturbation>, ArtifactError> {
    UniversalPerturbation::from_bytes(bytes).map(Arc::new).map_err(|error| {
        tracing::error!(job = %job.id, %error, "a kept perturbation is damaged");
        ArtifactError::Damaged { name: Role::Perturbation.file() }
    })
}

/// The container that a protocol may save as; all but JPEG are saved as PNG.
fn container(format: &str) -> Container {
    if format == "jpeg" { Container::Jpeg } else { Container::Png }
}

fn pixels<T>(job: &Job, role: Role, read: Result<T, ImagingError>) -> Result<T, ArtifactError> {
    read.map_err(|error| {
        tracing::error!(job = %job.id, picture = role.name(), %error, "a kept picture is damaged");
        ArtifactError::Damaged { name: role.file() }
    })
}
