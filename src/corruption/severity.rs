//! How strong a corruption is.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// From 1, hardly to be seen, to 5, at which a person would ask for another picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Severity(u8);

impl Severity {
    /// All severities, the mildest first.
    pub const ALL: [Self; 5] = [Self(1), Self(2), Self(3), Self(4), Self(5)];

    /// The strength of this severity in a table that begins with the mildest.
    pub(super) fn of<T: Copy>(self, table: [T; 5]) -> T {
        table[usize::from(self.0) - 1]
    }

    /// From 1 to 5.
    pub fn level(self) -> u8 {
        self.0
    }
}

/// By hand: the range of a bare number cannot be derived.
impl PartialSchema for Severity {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .description(Some("From 1 (mild) to 5 (strong)."))
            .minimum(Some(1))
            .maximum(Some(5))
            .into()
    }
}

impl ToSchema for Severity {
    fn name() -> std::borrow::Cow<'static, str> {
        "CorruptionSeverity".into()
    }
}

impl Default for Severity {
    /// The middle one.
    fn default() -> Self {
        Self(3)
    }
}

/// Not one of the five.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the severity is {0}: use 1 (mild) to 5 (strong)")]
pub struct NoSeverity(u8);

impl TryFrom<u8> for Severity {
    type Error = NoSeverity;

    fn try_from(level: u8) -> Result<Self, NoSeverity> {
        if (1..=5).contains(&level) { Ok(Self(level)) } else { Err(NoSeverity(level)) }
    }
}

impl From<Severity> for u8 {
    fn from(severity: Severity) -> Self {
        severity.0
    }
}
