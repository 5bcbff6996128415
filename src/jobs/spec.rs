//! What a caller asks for, apart from the pictures.

mod check;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::attack::{AttackError, AttackSpec, Budget, Criterion, GoalSpec, Protocol};
use crate::imaging::Window;
use crate::loss::Loss;
use crate::oracle::defended::Defence;

pub use check::{MOST_POINTS, parameter_pointer};

/// What to attack with, how far, and to what end. Unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// The text that names the structure, 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000, pattern = "\\S", example = "lungs")]
    pub prompt: String,
    /// The method and its parameters; what is left out is as the protocol has it.
    pub attack: AttackSpec,
    /// How far the image may be changed; left out for a method that has no budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// The wrong answer that counts.
    #[serde(default)]
    #[schema(required = false)]
    pub goal: GoalSpec,
    /// When the attack has succeeded; the goal's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<Criterion>,
    /// What stands between the image and the model; nothing if left out. Then the attack runs twice: knowing the
    /// defence, which is the result, and not knowing it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defence: Option<Defence>,
    /// The named set of choices.
    #[serde(default)]
    pub protocol: Protocol,
    /// The loss that the attack works with; the protocol's if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<Loss>,
    /// Seed of all random numbers.
    #[serde(default)]
    #[schema(maximum = 18446744073709551615_u64)]
    pub seed: u64,
    /// Name of a model of `GET /models`; the default model if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Names of other models of `GET /models` that the finished attack is shown to: how well it transfers to models it
    /// never asked. The worker that holds `model` has to hold them too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 8)]
    pub transfer_to: Vec<String>,
    /// From -9 to 9; higher goes first. More than 0 needs the scope `admin`.
    #[serde(default)]
    #[schema(minimum = -9, maximum = 9)]
    pub priority: i32,
    /// The caller's own names, kept and answered as they are: at most 16, keys up to 64 characters, values up to 256.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(schema_with = labels_schema)]
    pub labels: BTreeMap<String, String>,
    /// Which frame of a DICOM or TIFF file with several, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 4294967295_u32)]
    pub frame: Option<u32>,
    /// Which grey levels of a DICOM image become black and white; the file's own window if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

fn labels_schema() -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    ObjectBuilder::new()
        .description(Some("Your own names, kept and answered as they are."))
        .property_names(Some(text().min_length(Some(1)).max_length(Some(64))))
        .additional_properties(Some(text().max_length(Some(256))))
        .max_properties(Some(16))
}

/// A field of a request that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SpecError {
    /// JSON pointer to the field, from the root of the request's JSON form: `/spec/attack/steps`, `/mask`.
    pub pointer: String,
    /// What is wrong and what to do.
    pub detail: String,
}

impl JobSpec {
    /// Reads and checks a spec; the parameters of the attack that are left out are taken from its protocol.
    ///
    /// What needs the pictures or the model is checked when they are at hand.
    ///
    /// # Errors
    /// [`SpecError`] with a pointer to the first field that cannot be used.
    pub fn from_json(json: &[u8]) -> Result<Self, SpecError> {
        let spec = read::spec(json)?;
        check::spec(&spec)?;
        Ok(spec)
    }

    /// Points that the job visits, at most: the unit of progress.
    pub fn points(&self) -> u64 {
        let attacks = if self.defence.is_some() { 2 } else { 1 };
        self.attack.points().saturating_mul(attacks)
    }
}

impl From<AttackError> for SpecError {
    fn from(error: AttackError) -> Self {
        check::blame(error)
    }
}

impl SpecError {
    pub(super) fn new(pointer: impl Into<String>, detail: impl ToString) -> Self {
        Self { pointer: pointer.into(), detail: detail.to_string() }
    }
}
