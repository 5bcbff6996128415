//! From JSON to a spec, with a pointer to the field that is to blame.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::{JobSpec, SpecError};
use crate::attack::catalogue::names;
use crate::attack::{AttackSpec, GoalSpec, Protocol, ReadParameters};

const SPEC: &str = "/spec";
const ATTACK: &str = "/spec/attack";

/// The attack is read first and by its method: what it leaves out is the protocol's choice, and an error in a
/// tagged enum could not say which field is to blame.
pub(super) fn spec(json: &[u8]) -> Result<JobSpec, SpecError> {
    let written: Value =
        serde_json::from_slice(json).map_err(|error| SpecError::new(SPEC, format!("this is not JSON: {error}")))?;
    let Value::Object(mut fields) = written else {
        return Err(SpecError::new(SPEC, "this has to be an object"));
    };
    let protocol = match fields.get("protocol") {
        None => Protocol::default(),
        Some(name) => fit(name.clone(), "/spec/protocol")?,
    };
    if let Some(written) = fields.remove("attack") {
        let attack = serde_json::to_value(attack(written, protocol)?).expect("an attack is plain JSON");
        fields.insert("attack".into(), attack);
    }
    if let Some(example) = fields.get("goal").and_then(Value::as_str).and_then(GoalSpec::example) {
        return Err(SpecError::new("/spec/goal", format!("this goal has parameters: write {example}")));
    }
    fit(Value::Object(fields), SPEC)
}

fn attack(written: Value, protocol: Protocol) -> Result<AttackSpec, SpecError> {
    let Value::Object(mut parameters) = written else {
        return Err(SpecError::new(ATTACK, "this has to be an object with the field `method`"));
    };
    let method = parameters.remove("method");
    if method.as_ref().and_then(Value::as_str) == Some("pgd") {
        let defaults = serde_json::to_value(protocol.choices().pgd()).expect("parameters are plain JSON");
        parameters = completed(parameters, defaults);
    }
    let known = AttackSpec::read(method.as_ref().and_then(Value::as_str).unwrap_or_default(), parameters, AtAttack)?;
    known.ok_or_else(|| SpecError::new(format!("{ATTACK}/method"), format!("use one of {}", names().join(", "))))
}

/// Blames fields of the attack.
struct AtAttack;

impl ReadParameters for AtAttack {
    type Error = SpecError;

    fn fit<T: DeserializeOwned>(self, parameters: Map<String, Value>) -> Result<T, SpecError> {
        fit(Value::Object(parameters), ATTACK)
    }
}

/// The parameters, and the defaults of those that are left out.
fn completed(mut parameters: Map<String, Value>, defaults: Value) -> Map<String, Value> {
    if let Value::Object(defaults) = defaults {
        for (name, value) in defaults {
            parameters.entry(name).or_insert(value);
        }
    }
    parameters
}

/// Reads a part of the spec that stands at the pointer `at`.
fn fit<T: DeserializeOwned>(value: Value, at: &str) -> Result<T, SpecError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let mut pointer = at.to_owned();
        for segment in error.path() {
            match segment {
                Segment::Map { key } => push(&mut pointer, key),
                Segment::Enum { variant } => push(&mut pointer, variant),
                Segment::Seq { index } => push(&mut pointer, &index.to_string()),
                Segment::Unknown => {}
            }
        }
        let detail = error.into_inner().to_string();
        // The path of an absent field ends at the object that should hold it.
        if let Some(field) = detail.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
            push(&mut pointer, field);
        }
        SpecError { pointer, detail }
    })
}

/// Adds a token to a JSON pointer (RFC 6901, section 3).
fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}
