//! A job as it stands in the store.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::JobSpec;
use crate::telemetry::traces::TraceContext;

/// Names a job; sorts by the time it was submitted (UUID version 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A name that no other job has.
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for JobId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for a worker.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Has a result.
    Succeeded,
    /// Has a reason why there is no result.
    Failed,
    /// Stopped because somebody asked.
    Cancelled,
}

impl State {
    /// All states, in the order a job may pass them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The name used in requests, answers and the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing will change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Everything that is known of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Who submitted it; fairness, quotas and visibility go by this.
    pub caller: String,
    /// Where it stands.
    pub state: State,
    /// What was asked for, defaults filled in.
    pub spec: JobSpec,
    /// The name of the model it runs on.
    pub model: String,
    /// The pictures it came with.
    pub inputs: Inputs,
    /// How often it was begun.
    pub attempt: u32,
    /// How often it may be begun.
    pub max_attempts: u32,
    /// Whether somebody asked a running job to stop.
    pub cancel_requested: bool,
    /// How far the current attempt is.
    pub progress: Progress,
    /// What came of it, once succeeded.
    pub outcome: Option<Outcome>,
    /// Why it failed, or why its last attempt did.
    pub failure: Option<Failure>,
    /// The job that this one repeats.
    pub rerun_of: Option<JobId>,
    /// The request that submitted it.
    pub request_id: Option<String>,
    /// Where in a trace that request was.
    pub trace: Option<TraceContext>,
    /// When it was submitted.
    pub created_at: DateTime<Utc>,
    /// When its current attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// A job that is to be tried again is not begun before this.
    pub run_after: Option<DateTime<Utc>>,
}

/// The files that a job came with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inputs {
    /// The image to attack.
    pub image: InputRecord,
    /// The reference mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<InputRecord>,
    /// The mask to reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_mask: Option<InputRecord>,
    /// The pixels that may change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_region: Option<InputRecord>,
    /// What the method `universal` adds to the image; columns and rows are its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub perturbation: Option<InputRecord>,
}

/// One file as it was handed in. Of a picture only the pixels are kept, never the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputRecord {
    /// SHA-256 of the bytes that were handed in, in lower-case hexadecimal.
    pub sha256: String,
    /// Their number.
    pub bytes: u64,
    /// `png`, `jpeg`, `tiff`, `dicom`, or `safetensors` for a perturbation.
    pub format: String,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// What was changed on the way from the file to the pixels, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How far an attempt is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Points of the attack that were visited.
    pub step: u64,
    /// Points that will be visited in all.
    pub steps: u64,
    /// DSC against the reference at the last point.
    #[schema(required)]
    pub dsc: Option<f64>,
    /// The lowest DSC so far (for a targeted goal, the DSC at the point nearest to the target).
    #[schema(required)]
    pub best_dsc: Option<f64>,
    /// The objective at the last point.
    #[schema(required)]
    pub loss: Option<f32>,
    /// Mean seconds from point to point in this attempt.
    #[schema(required)]
    pub step_seconds: Option<f64>,
}

/// What came of an attack.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The numbers that a list shows.
    pub scores: Scores,
    /// `result.json` without its steps.
    pub result: serde_json::Value,
    /// The files.
    pub artifacts: Vec<ArtifactRecord>,
    /// How a rerun's files compare with the original's.
    pub comparison: Option<Comparison>,
    /// Wall-clock time of the attack in seconds.
    pub duration_seconds: f64,
}

/// The numbers of an attack that fit into a line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Scores {
    /// DSC of the prediction on the clean image.
    pub clean_dsc: f64,
    /// DSC of the prediction on the adversarial file.
    pub adversarial_dsc: f64,
    /// IoU of the prediction on the clean image.
    pub clean_iou: f64,
    /// IoU of the prediction on the adversarial file.
    pub adversarial_iou: f64,
    /// Whether the attack met its success criterion.
    pub success: bool,
}

/// A file that a job made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArtifactRecord {
    /// File name.
    pub name: String,
    /// Media type.
    pub content_type: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
}

/// Whether a rerun gave the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// The job that was repeated.
    pub with: JobId,
    /// Whether all compared files are equal; the manifest, which holds a duration, is not compared.
    pub identical: bool,
    /// The files that differ or that only one of the two has.
    pub different: Vec<String>,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// `bad_input`, `gradient`, `device`, `storage`, `not_held` (a model of `transfer_to` is in another process) or `lost`
    /// (its worker vanished each time).
    pub code: String,
    /// What happened and what to do, for people.
    pub detail: String,
    /// The field of the request that is to blame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
}
