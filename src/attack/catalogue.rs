//! What there is to know of each method before it is used: the one list to extend with a new attack.
//!
//! Names and parameters come from the methods' own types; here, in one file for each family, stand the facts that
//! code does not know.

mod black_box;
mod minimal;
mod unbounded;
mod white_box;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::Norm;
use super::schema::Parameters;

/// A method and what it needs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = AttackMethod)]
pub struct Method {
    /// Its name in requests.
    #[schema(value_type = String, example = "pgd")]
    pub method: &'static str,
    /// Its name for people.
    #[schema(value_type = String)]
    pub title: &'static str,
    /// Where it was published.
    pub paper: Paper,
    /// What the attacker has to know.
    pub threat_model: ThreatModel,
    /// The norms in which its budget can be given; none if it has no budget.
    #[schema(value_type = Vec<Norm>)]
    pub norms: &'static [Norm],
    /// JSON Schema (2020-12) of its parameters, without `method`.
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// The parameters that are used if they are left out.
    #[schema(value_type = Object)]
    pub defaults: Value,
    /// The files that a request has to bring besides the image, by the names of their parts.
    #[schema(value_type = Vec<String>, example = json!([]))]
    pub needs: &'static [&'static str],
    /// How many points it visits, as an expression of its parameters.
    #[schema(value_type = String, example = "restarts * (steps + 1)")]
    pub steps_cost: &'static str,
}

/// A publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Paper {
    /// Authors, title and year.
    #[schema(value_type = String)]
    pub title: &'static str,
    /// Its number on arXiv.
    #[schema(value_type = String, example = "1706.06083")]
    pub arxiv: &'static str,
}

/// What an attacker has to know of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ThreatModel {
    /// Its weights: the attack follows gradients.
    WhiteBox,
    /// The loss of its answers: the attack asks again and again.
    Score,
    /// Its masks alone.
    Decision,
    /// Nothing of this answer: what is added was found beforehand, on other images.
    Transfer,
    /// Nothing: there is no attacker.
    Natural,
    /// The text alone: the image stays as it is.
    Prompt,
}

/// A method in the making.
struct Entry {
    parameters: Parameters,
    title: &'static str,
    paper: Paper,
    threat_model: ThreatModel,
    norms: &'static [Norm],
    steps_cost: &'static str,
}

/// All methods, the quickest of each family first.
fn entries() -> Vec<Entry> {
    [white_box::entries(), minimal::entries(), black_box::entries(), unbounded::entries()]
        .into_iter()
        .flatten()
        .collect()
}

/// All methods, the quickest of each family first.
pub fn methods() -> Vec<Method> {
    let method = |entry: Entry| Method {
        method: entry.parameters.method,
        title: entry.title,
        paper: entry.paper,
        threat_model: entry.threat_model,
        norms: entry.norms,
        defaults: entry.parameters.defaults.clone(),
        needs: needs(entry.parameters.method),
        parameters: entry.parameters.self_contained(),
        steps_cost: entry.steps_cost,
    };
    entries().into_iter().map(method).collect()
}

/// The files that a method cannot do without.
fn needs(method: &str) -> &'static [&'static str] {
    if method == "universal" { &["perturbation"] } else { &[] }
}

/// The parameters of each method, in the order of [`methods`].
pub(super) fn parameters() -> Vec<Parameters> {
    entries().into_iter().map(|entry| entry.parameters).collect()
}

/// The names of all methods, in the order of [`methods`]; made once, since every schema is made to find them.
pub fn names() -> &'static [&'static str] {
    static NAMES: LazyLock<Vec<&str>> =
        LazyLock::new(|| parameters().iter().map(|parameters| parameters.method).collect());
    &NAMES
}

/// What an attacker who uses a method has to know; `None` for a name that is no method's.
pub fn threat_model(method: &str) -> Option<ThreatModel> {
    static MODELS: LazyLock<BTreeMap<&str, ThreatModel>> =
        LazyLock::new(|| entries().into_iter().map(|entry| (entry.parameters.method, entry.threat_model)).collect());
    MODELS.get(method).copied()
}

/// The schema of a method's name.
pub fn name_schema() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names().iter().copied()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::AttackSpec;

    #[test]
    fn every_method_of_a_request_is_listed_with_the_defaults_that_requests_get() {
        for method in methods() {
            let mut asked = method.defaults.clone();
            asked["method"] = method.method.into();
            let spec: AttackSpec = serde_json::from_value(asked).unwrap();
            assert_eq!(spec.method(), method.method);
            let bare = serde_json::from_value::<AttackSpec>(serde_json::json!({"method": method.method})).unwrap();
            assert_eq!(bare, spec);
        }
        let unknown = serde_json::from_str::<AttackSpec>(r#"{"method":"magic"}"#).unwrap_err().to_string();
        let listed = methods().iter().map(|method| format!("`{}`", method.method)).collect::<Vec<_>>();
        for name in unknown.split([' ', ',']).filter(|word| word.starts_with('`')).skip(1) {
            assert!(listed.contains(&name.to_owned()), "{name} is not in the catalogue: {unknown}");
        }
    }

    #[test]
    fn schemas_stand_alone_and_name_ranges_and_defaults() {
        let pgd = methods().into_iter().find(|method| method.method == "pgd").unwrap();
        let schema = &pgd.parameters;
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["steps"]["minimum"], 1);
        assert_eq!(schema["properties"]["steps"]["default"], 40);
        assert_eq!(schema["properties"]["alpha"]["default"], Value::Null);
        assert_eq!(schema["$defs"]["Epsilon"]["properties"]["value"]["minimum"], 0);
        assert_eq!(schema["$defs"]["Epsilon"]["additionalProperties"], false);
        let text = schema.to_string();
        assert!(text.contains("#/$defs/Epsilon") && !text.contains("#/components"), "{text}");
    }
}
