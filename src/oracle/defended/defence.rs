//! The defences that can be asked for.

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{
    BitDepth, Gaussian, Jpeg, Median, PromptEnsemble, RandomResize, Rescale, Smoothing, TotalVariation, Transformation,
};

/// A defence and its parameters, for example `{"kind": "jpeg", "quality": 75}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Defence {
    /// Compressed as JPEG.
    Jpeg(Jpeg),
    /// Fewer levels.
    BitDepth(BitDepth),
    /// The median of a neighbourhood.
    Median(Median),
    /// Smoothed.
    Gaussian(Gaussian),
    /// Made smaller and larger again.
    Resize(Rescale),
    /// Noise taken away, edges kept.
    TotalVariation(TotalVariation),
    /// Made smaller by a random factor and larger again, several times.
    RandomResize(RandomResize),
    /// Noise added, several times.
    Smoothing(Smoothing),
    /// Asked under several prompts.
    PromptEnsemble(PromptEnsemble),
}

/// By hand: parameters are closed objects, and a schema that adds `kind` from outside could never be met.
impl PartialSchema for Defence {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .description(Some("A defence and its parameters; what is left out has its default."))
            .item(tagged::<Jpeg>("jpeg"))
            .item(tagged::<BitDepth>("bit_depth"))
            .item(tagged::<Median>("median"))
            .item(tagged::<Gaussian>("gaussian"))
            .item(tagged::<Rescale>("resize"))
            .item(tagged::<TotalVariation>("total_variation"))
            .item(tagged::<RandomResize>("random_resize"))
            .item(tagged::<Smoothing>("smoothing"))
            .item(tagged::<PromptEnsemble>("prompt_ensemble"))
            .into()
    }
}

impl ToSchema for Defence {}

/// The parameters of one kind with the field that names it.
///
/// # Panics
/// If `T` is not a struct with named fields.
fn tagged<T: ToSchema>(kind: &'static str) -> Schema {
    let RefOr::T(Schema::Object(mut object)) = T::schema() else { panic!("{kind} has to be a struct") };
    let name = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([kind]));
    object.properties.insert("kind".into(), name.into());
    object.required.push("kind".into());
    Schema::Object(object)
}

/// A parameter that makes no sense.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{parameter} is {value}: {rule}")]
pub struct DefenceError {
    /// Its name.
    pub parameter: &'static str,
    /// Its value.
    pub value: String,
    /// What it has to be.
    pub rule: &'static str,
}

impl DefenceError {
    /// An error unless the rule is kept.
    pub(super) fn unless(
        kept: bool,
        parameter: &'static str,
        value: impl ToString,
        rule: &'static str,
    ) -> Result<(), Self> {
        if kept { Ok(()) } else { Err(Self { parameter, value: value.to_string(), rule }) }
    }
}

impl Defence {
    /// What it does.
    pub fn transformation(&self) -> &dyn Transformation {
        match self {
            Self::Jpeg(jpeg) => jpeg,
            Self::BitDepth(bit_depth) => bit_depth,
            Self::Median(median) => median,
            Self::Gaussian(gaussian) => gaussian,
            Self::Resize(resize) => resize,
            Self::TotalVariation(variation) => variation,
            Self::RandomResize(resize) => resize,
            Self::Smoothing(smoothing) => smoothing,
            Self::PromptEnsemble(ensemble) => ensemble,
        }
    }

    /// The name used in requests and results.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Jpeg(_) => "jpeg",
            Self::BitDepth(_) => "bit_depth",
            Self::Median(_) => "median",
            Self::Gaussian(_) => "gaussian",
            Self::Resize(_) => "resize",
            Self::TotalVariation(_) => "total_variation",
            Self::RandomResize(_) => "random_resize",
            Self::Smoothing(_) => "smoothing",
            Self::PromptEnsemble(_) => "prompt_ensemble",
        }
    }
}
