//! From JSON to a spec, with a pointer to the field that is to blame.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use serde_path_to_error::Segment;

use super::{JobSpec, SpecError};
use crate::attack::catalogue::names;
use crate::attack::{AttackSpec, GoalSpec, Protocol};

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
    let parameters = Value::Object(parameters);
    match method.as_ref().and_then(Value::as_str) {
        Some("fgsm") => fit(parameters, ATTACK).map(AttackSpec::Fgsm),
        Some("pgd") => fit(parameters, ATTACK).map(AttackSpec::Pgd),
        Some("bim") => fit(parameters, ATTACK).map(AttackSpec::Bim),
        Some("mi_fgsm") => fit(parameters, ATTACK).map(AttackSpec::MiFgsm),
        Some("ni_fgsm") => fit(parameters, ATTACK).map(AttackSpec::NiFgsm),
        Some("di_fgsm") => fit(parameters, ATTACK).map(AttackSpec::DiFgsm),
        Some("ti_fgsm") => fit(parameters, ATTACK).map(AttackSpec::TiFgsm),
        Some("apgd") => fit(parameters, ATTACK).map(AttackSpec::Apgd),
        Some("padam") => fit(parameters, ATTACK).map(AttackSpec::Padam),
        Some("strongest") => fit(parameters, ATTACK).map(AttackSpec::Strongest),
        Some("square") => fit(parameters, ATTACK).map(AttackSpec::Square),
        Some("square_mask") => fit(parameters, ATTACK).map(AttackSpec::SquareMask),
        Some("nes") => fit(parameters, ATTACK).map(AttackSpec::Nes),
        Some("spsa") => fit(parameters, ATTACK).map(AttackSpec::Spsa),
        Some("noise") => fit(parameters, ATTACK).map(AttackSpec::Noise),
        Some("smallest_epsilon") => fit(parameters, ATTACK).map(AttackSpec::SmallestEpsilon),
        Some("dag") => fit(parameters, ATTACK).map(AttackSpec::Dag),
        Some("cw") => fit(parameters, ATTACK).map(AttackSpec::Cw),
        Some("boundary") => fit(parameters, ATTACK).map(AttackSpec::Boundary),
        Some("dct") => fit(parameters, ATTACK).map(AttackSpec::Dct),
        Some("corruption") => fit(parameters, ATTACK).map(AttackSpec::Corruption),
        Some("alma_prox") => fit(parameters, ATTACK).map(AttackSpec::AlmaProx),
        Some("patch") => fit(parameters, ATTACK).map(AttackSpec::Patch),
        Some("seg_certify") => fit(parameters, ATTACK).map(AttackSpec::SegCertify),
        Some("prompt") => fit(parameters, ATTACK).map(AttackSpec::Prompt),
        Some("hot_flip") => fit(parameters, ATTACK).map(AttackSpec::HotFlip),
        Some("prompt_embedding") => fit(parameters, ATTACK).map(AttackSpec::PromptEmbedding),
        Some("joint") => fit(parameters, ATTACK).map(AttackSpec::Joint),
        Some("universal") => fit(parameters, ATTACK).map(AttackSpec::Universal),
        _ => Err(SpecError::new(format!("{ATTACK}/method"), format!("use one of {}", names().join(", ")))),
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
