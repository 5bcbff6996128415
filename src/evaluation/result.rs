//! The result of one attack, as it stands in `result.json`.
//!
//! It is a function of the request alone: no clock and no machine, so that a rerun can be compared byte
//! by byte. Times and places are in the [`manifest`](crate::report::manifest).

use serde::Serialize;
use utoipa::ToSchema;

use super::{DefenceResult, PatchResult, Transfer};
use crate::attack::harness::queries::Queries;
use crate::attack::harness::tracker::At;
use crate::attack::{AttackSpec, Criterion, Echo, GoalSpec, Protocol, Smallest, StepRecord, Success};
use crate::certify::CertificateScores;
use crate::loss::Loss;
use crate::metric::{Deltas, MaskScores, PerturbationScores};
use crate::oracle::defended::Defence;
use crate::prompt::PromptSensitivity;

/// Version of the layout of `result.json`; raised when a field changes its meaning or goes away.
pub const SCHEMA_VERSION: u32 = 1;

/// What was attacked, how, and what came of it.
///
/// A score that has no value is `null`, with the reason beside it; no number is ever NaN or infinite.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttackResult {
    /// Version of the layout; raised when a field changes its meaning or goes away.
    pub schema_version: u32,
    /// Name of the model.
    pub model: String,
    /// What was asked for, defaults filled in.
    pub request: Asked,
    /// Size at which the image was attacked and the masks were compared.
    pub image: Size,
    /// What all masks are compared with.
    pub reference: Reference,
    /// Whether the attack succeeded, judged on the file.
    pub success: Success,
    /// Whether the file keeps the budget and the allowed region; null for a method that has no budget.
    #[schema(required)]
    pub within_budget: Option<bool>,
    /// What was tried at the point that the result comes from, by a method that tries things that have names: the kind
    /// of corruption that was worst, or the family of the prompt's edit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub worst: Option<String>,
    /// The prompt that the attack found: `adversarial_file` is scored under it. Absent if the image alone was changed, or
    /// no text that can be typed was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub adversarial_prompt: Option<String>,
    /// How much the text matters to the model, if the method tried other prompts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub prompt_sensitivity: Option<PromptSensitivity>,
    /// What the defence is worth, if the model is behind one: then all other scores are those of the defended model
    /// under an attack that knows the defence.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub defence: Option<DefenceResult>,
    /// The prediction on the clean image.
    pub clean: Scored,
    /// The prediction on the clean image after the file format's round trip, if that changes the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub clean_reencoded: Option<Scored>,
    /// The prediction on the adversarial image as read back from its file: the result.
    pub adversarial_file: Scored,
    /// The prediction on the adversarial file under the original prompt, if image and prompt were both changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub adversarial_file_original_prompt: Option<Scored>,
    /// The prediction on the adversarial tensor before it was rounded.
    pub adversarial_float: Scored,
    /// `adversarial_file` minus `clean`, and what the two predictions have in common.
    pub deltas: Deltas,
    /// How far the decoded file is from the clean image.
    pub perturbation: PerturbationScores,
    /// What the file does to other models that the attack never asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub transfer: Vec<Transfer>,
    /// How large the perturbation had to be, of a method that looks for the smallest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub smallest: Option<Smallest>,
    /// How large the patch is and what others do in its place, of a method that covers a part of the image: no score
    /// counts the pixels under it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub patch: Option<PatchResult>,
    /// What no attack can do to the model behind normal noise, of a method that certifies.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub certificate: Option<CertificateScores>,
    /// What `perturbation.png` shows.
    pub perturbation_picture: PerturbationPicture,
    /// How often the model was asked.
    pub queries: Queries,
    /// Loss and DSC of every visited point. In the file only: the service leaves them out of its answers.
    #[schema(required = false)]
    pub steps: Vec<StepRecord>,
    /// What the reader should know before trusting the numbers.
    pub notes: Vec<String>,
}

/// A request with its defaults filled in.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Asked {
    /// The text that names the structure.
    pub prompt: String,
    /// The method and its parameters.
    pub attack: AttackSpec,
    /// What stands between the image and the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub defence: Option<Defence>,
    /// The loss the attack works with.
    pub loss: Loss,
    /// The named set of choices.
    pub protocol: Protocol,
    /// The wrong answer that counted.
    pub goal: GoalSpec,
    /// When the attack counts as successful.
    pub criterion: Criterion,
    /// The budget in all units; null for a method that has no budget.
    #[schema(required)]
    pub budget: Option<Echo>,
    /// Number of pixels that were allowed to change; all if `null`.
    pub allowed_pixels: Option<usize>,
    /// Seed of all random numbers.
    pub seed: u64,
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Size {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// What masks are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reference {
    /// The mask that came with the request.
    Given,
    /// The model's own prediction on the clean image: its score is 1 by construction and says nothing
    /// about the model's quality.
    CleanPrediction,
}

/// A prediction with its scores against the reference. Flat in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Scored {
    /// Every score.
    #[serde(flatten)]
    pub scores: MaskScores,
    /// DSC against the target of a targeted attack.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub dsc_to_target: Option<f64>,
    /// The attack's objective.
    pub objective: f32,
    /// The restart and step that this comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub at: Option<At>,
}

/// How the perturbation was made visible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PerturbationPicture {
    /// Level that stands for "unchanged"; brighter has risen, darker has fallen.
    pub zero_level: u8,
    /// How many times changes are amplified.
    pub amplified: u32,
    /// The same as a sentence.
    pub caption: String,
}
