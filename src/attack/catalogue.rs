//! What there is to know of each method before it is used: the one list to extend with a new attack.
//!
//! Names and parameters come from the methods' own types; here stand the facts that code does not know.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::schema::Parameters;
use super::{Corruption, Fgsm, Norm, Pgd, Prompt};

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
    /// Nothing: there is no attacker.
    Natural,
    /// The text alone: the image stays, and the attack asks for masks.
    Prompt,
}

/// All methods, the quickest first.
pub fn methods() -> Vec<Method> {
    let [fgsm, pgd, corruption, prompt] = parameters();
    vec![
        Method {
            method: fgsm.method,
            title: "FGSM: one step along the sign of the gradient",
            paper: Paper {
                title: "Goodfellow, Shlens, Szegedy: Explaining and Harnessing Adversarial Examples (2015)",
                arxiv: "1412.6572",
            },
            threat_model: ThreatModel::WhiteBox,
            norms: &[Norm::Linf, Norm::L2],
            defaults: fgsm.defaults.clone(),
            parameters: fgsm.self_contained(),
            steps_cost: "2",
        },
        Method {
            method: pgd.method,
            title: "PGD: many projected gradient steps (BIM without the random start)",
            paper: Paper {
                title: "Madry et al.: Towards Deep Learning Models Resistant to Adversarial Attacks (2018)",
                arxiv: "1706.06083",
            },
            threat_model: ThreatModel::WhiteBox,
            norms: &[Norm::Linf, Norm::L2],
            defaults: pgd.defaults.clone(),
            parameters: pgd.self_contained(),
            steps_cost: "restarts * (steps + 1)",
        },
        Method {
            method: corruption.method,
            title: "Natural corruptions: noise, blur, artefacts of the modality; the worst of a group",
            paper: Paper {
                title: "Hendrycks, Dietterich: Benchmarking Neural Network Robustness to Common Corruptions and \
                        Perturbations (2019)",
                arxiv: "1903.12261",
            },
            threat_model: ThreatModel::Natural,
            norms: &[],
            defaults: corruption.defaults.clone(),
            parameters: corruption.self_contained(),
            steps_cost: "number of kinds in the group, or 1",
        },
        Method {
            method: prompt.method,
            title: "Prompt edits: typos, synonyms, other structures; the worst, and how much the text matters",
            paper: Paper {
                title: "Ribeiro et al.: Beyond Accuracy: Behavioral Testing of NLP Models with CheckList (2020)",
                arxiv: "2005.04118",
            },
            threat_model: ThreatModel::Prompt,
            norms: &[],
            defaults: prompt.defaults.clone(),
            parameters: prompt.self_contained(),
            steps_cost: "edits of the prompt, and for each further round those of beam texts",
        },
    ]
}

/// The parameters of each method, in the order of [`methods`].
pub(super) fn parameters() -> [Parameters; 4] {
    [
        Parameters::of::<Fgsm>("fgsm"),
        Parameters::of::<Pgd>("pgd"),
        Parameters::of::<Corruption>("corruption"),
        Parameters::of::<Prompt>("prompt"),
    ]
}

/// The schema of a method's name.
pub fn name_schema() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(parameters().map(|p| p.method)))
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
