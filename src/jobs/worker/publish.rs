//! From a finished attack to files under the attempt's prefix and the row's outcome.

use bytes::Bytes;
use serde_json::Value;

use super::attempt::Attacked;
use crate::artifact::{ArtifactError, content_type, layout};
use crate::evaluation::Artifact;
use crate::evaluation::result::{AttackResult, Scored};
use crate::jobs::{ArtifactRecord, Comparison, Host, Job, Jobs, Outcome, Scores};
use crate::report::manifest::{Machine, Manifest, ModelIdentity, sha256};

/// Holds a duration, and so differs between two runs of one request.
const MANIFEST: &str = "manifest.json";

/// Where the files come from, as a file.
pub(super) fn manifest(
    job: &Job,
    (host, others): (&Host, Vec<ModelIdentity>),
    (machine, attacked): (Machine, &Attacked),
) -> Artifact {
    let inputs = job.inputs.records().map(|(role, record)| (role.name().to_owned(), record.sha256.clone()));
    let manifest = Manifest::new(
        (host.identity.clone(), others, machine),
        inputs.collect(),
        (&attacked.result.request, attacked.duration),
        &attacked.files,
    );
    let mut bytes = serde_json::to_vec_pretty(&manifest).expect("string keys and plain values are valid JSON");
    bytes.push(b'\n');
    Artifact { name: MANIFEST.into(), bytes }
}

/// Writes the files; they count only once the outcome is in the row.
pub(super) async fn publish(jobs: &Jobs, job: &Job, attacked: Attacked) -> Result<Outcome, ArtifactError> {
    let prefix = layout::attempt(job.id.0, job.attempt);
    let mut artifacts = Vec::new();
    for Artifact { name, bytes } in attacked.files {
        let bytes = Bytes::from(bytes);
        artifacts.push(ArtifactRecord {
            content_type: content_type(&name).into(),
            bytes: bytes.len() as u64,
            sha256: sha256(&bytes),
            name: name.clone(),
        });
        jobs.artifacts().put(&prefix, &name, bytes).await?;
    }
    Ok(Outcome {
        scores: scores(&attacked.result),
        result: without_steps(&attacked.result),
        comparison: compare(jobs, job, &artifacts).await,
        artifacts,
        duration_seconds: attacked.duration.as_secs_f64(),
    })
}

/// A rerun beside its original; `None` if there is no original (any more).
async fn compare(jobs: &Jobs, job: &Job, artifacts: &[ArtifactRecord]) -> Option<Comparison> {
    let original = jobs.find(job.rerun_of?).await.ok()?;
    let different = different(&original.outcome?.artifacts, artifacts);
    Some(Comparison { with: original.id, identical: different.is_empty(), different })
}

/// The names of files that are not the same in both, the manifest apart.
fn different(left: &[ArtifactRecord], right: &[ArtifactRecord]) -> Vec<String> {
    let only_in = |these: &[ArtifactRecord], those: &[ArtifactRecord]| -> Vec<String> {
        let changed = these.iter().filter(|file| !those.iter().any(|other| same(file, other)));
        changed.map(|file| file.name.clone()).collect()
    };
    let mut names = only_in(left, right);
    names.extend(only_in(right, left));
    names.sort();
    names.dedup();
    names.retain(|name| name != MANIFEST);
    names
}

fn same(left: &ArtifactRecord, right: &ArtifactRecord) -> bool {
    left.name == right.name && left.sha256 == right.sha256
}

fn scores(result: &AttackResult) -> Scores {
    let overlap = |scored: &Scored| (scored.scores.overlap.dsc, scored.scores.overlap.iou);
    let ((clean_dsc, clean_iou), (adversarial_dsc, adversarial_iou)) =
        (overlap(&result.clean), overlap(&result.adversarial_file));
    Scores { clean_dsc, adversarial_dsc, clean_iou, adversarial_iou, success: result.success.met }
}

/// The steps are in `result.json`, and most of it. Read back from text: the numbers are then those of the file, where
/// an f32 has its own short form.
fn without_steps(result: &AttackResult) -> Value {
    let text = serde_json::to_string(result).expect("string keys and plain values are valid JSON");
    let mut value: Value = serde_json::from_str(&text).expect("what was just written can be read");
    if let Value::Object(fields) = &mut value {
        fields.remove("steps");
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_compared_by_name_and_bytes_and_the_manifest_is_not() {
        let file = |name: &str, bytes: &str| ArtifactRecord {
            name: name.into(),
            content_type: content_type(name).into(),
            bytes: bytes.len() as u64,
            sha256: sha256(bytes.as_bytes()),
        };
        let left = [file("a.png", "a"), file("b.png", "b"), file("c.png", "c"), file(MANIFEST, "1 s")];
        let right = [file("a.png", "a"), file("b.png", "x"), file("d.png", "d"), file(MANIFEST, "2 s")];
        assert_eq!(different(&left, &right), ["b.png", "c.png", "d.png"]);
        assert!(different(&left, &left).is_empty());
    }
}
