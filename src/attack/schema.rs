//! JSON Schemas of the methods, made from their Rust types.
//!
//! A request names its method in the same object as the parameters, and each method refuses fields that it does not
//! know. A schema that adds `method` to a closed object from outside could never be met, so it is put inside.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::openapi::{Discriminator, Object, Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::AttackSpec;
use super::catalogue::parameters;

const COMPONENTS: &str = "#/components/schemas/";

/// The parameters of one method.
pub(super) struct Parameters {
    /// The method's name in requests.
    pub(super) method: &'static str,
    /// What is used for those that are left out.
    pub(super) defaults: Value,
    object: Object,
    used: Vec<(String, RefOr<Schema>)>,
}

impl Parameters {
    /// Those of `T`, each with its default.
    ///
    /// # Panics
    /// If `T` is not a struct with named fields.
    pub(super) fn of<T: ToSchema + Default + Serialize>(method: &'static str) -> Self {
        let RefOr::T(Schema::Object(mut object)) = T::schema() else { panic!("{method} has to be a struct") };
        let defaults = serde_json::to_value(T::default()).expect("parameters are plain JSON");
        for (name, property) in &mut object.properties {
            if let RefOr::T(schema) = property {
                set_default(schema, defaults[name].clone());
            }
        }
        let mut used = vec![];
        T::schemas(&mut used);
        Self { method, defaults, object, used }
    }

    /// The parameters with `method`, as they stand in a request.
    fn tagged(mut self) -> Schema {
        let method = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([self.method]));
        self.object.properties.insert("method".into(), method.into());
        self.object.required.push("method".into());
        Schema::Object(self.object)
    }

    /// The name of [`Self::tagged`] in a document: `MiFgsmAttack` for `mi_fgsm`.
    fn component(&self) -> String {
        let words = self.method.split('_').map(|word| {
            let (first, rest) = word.split_at(1);
            format!("{}{rest}", first.to_uppercase())
        });
        format!("{}Attack", words.collect::<String>())
    }

    /// The parameters as a document of their own, JSON Schema 2020-12.
    pub(super) fn self_contained(self) -> Value {
        let definitions: Map<_, _> = self.used.iter().map(|(name, schema)| (name.clone(), local(schema))).collect();
        let mut schema = local(&self.object);
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        if !definitions.is_empty() {
            schema["$defs"] = definitions.into();
        }
        schema
    }
}

/// A schema as JSON that refers to definitions in its own document.
fn local(schema: &impl Serialize) -> Value {
    let text = serde_json::to_string(schema).expect("a schema is plain JSON").replace(COMPONENTS, "#/$defs/");
    serde_json::from_str(&text).expect("names of components need no escapes")
}

fn set_default(schema: &mut Schema, value: Value) {
    match schema {
        Schema::Object(object) => object.default = Some(value),
        Schema::OneOf(one_of) => one_of.default = Some(value),
        Schema::Array(array) => array.default = Some(value),
        _ => (),
    }
}

impl ToSchema for AttackSpec {
    fn name() -> Cow<'static, str> {
        "AttackSpec".into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        for method in parameters() {
            schemas.extend(method.used.iter().cloned());
            schemas.push((method.component(), method.tagged().into()));
        }
    }
}

impl PartialSchema for AttackSpec {
    fn schema() -> RefOr<Schema> {
        let place = |method: Parameters| (method.method, format!("{COMPONENTS}{}", method.component()));
        let names: Vec<_> = parameters().into_iter().map(place).collect();
        let one_of = names.iter().fold(OneOfBuilder::new(), |one_of, (_, place)| one_of.item(Ref::new(place)));
        one_of
            .description(Some("A method and its parameters; what is left out is as the protocol has it."))
            .discriminator(Some(Discriminator::with_mapping("method", names)))
            .into()
    }
}
