//! How much a model's mask depends on its prompt.

use serde::Serialize;
use utoipa::ToSchema;

use super::Family;

/// From this mean overlap on, a mask hardly depends on what is asked for.
const DEAF: f64 = 0.8;

/// An edited prompt and what the model made of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tried<'a> {
    /// The family of the edit.
    pub family: Family,
    /// The edited prompt.
    pub text: &'a str,
    /// DSC against the reference.
    pub dsc: f64,
    /// DSC against the mask under the original prompt.
    pub consistency: f64,
}

/// How the mask on the clean image depends on the prompt. Consistency is the DSC of a mask against the mask under the
/// original prompt: it needs no reference.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PromptSensitivity {
    /// One entry for every family that was tried.
    pub families: Vec<FamilySensitivity>,
    /// 1 minus the mean consistency over the families that keep what is asked for, each with the same weight: 0 is
    /// best. Null if none was tried.
    #[schema(required)]
    pub fragility: Option<f64>,
    /// 1 minus the mean consistency over the families that change what is asked for: near 0, the model does not read
    /// its prompt. Null if none was tried.
    #[schema(required)]
    pub use_of_text: Option<f64>,
}

/// What the edits of one family did.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FamilySensitivity {
    /// The family.
    pub family: Family,
    /// Whether the edits keep what is asked for, so that the mask should stay.
    pub keeps_meaning: bool,
    /// Number of edited prompts.
    pub prompts: usize,
    /// Mean DSC against the reference.
    pub mean_dsc: f64,
    /// Lowest DSC against the reference.
    pub lowest_dsc: f64,
    /// Mean DSC against the mask under the original prompt.
    pub mean_consistency: f64,
    /// Lowest DSC against the mask under the original prompt.
    pub lowest_consistency: f64,
    /// The first prompt of the lowest consistency.
    pub farthest_prompt: String,
}

impl PromptSensitivity {
    /// Summarises what was tried; `None` if nothing was.
    pub fn new(tried: &[Tried]) -> Option<Self> {
        let of = |family: Family| {
            let mine: Vec<&Tried> = tried.iter().filter(|tried| tried.family == family).collect();
            FamilySensitivity::new(family, &mine)
        };
        let families: Vec<_> = Family::ALL.into_iter().filter_map(of).collect();
        let change = |keeps: bool| {
            let mine = families.iter().filter(|family| family.keeps_meaning == keeps);
            mean(mine.map(|family| 1. - family.mean_consistency))
        };
        let (fragility, use_of_text) = (change(true), change(false));
        (!families.is_empty()).then_some(Self { families, fragility, use_of_text })
    }

    /// What the reader should know of these numbers.
    pub fn notes(&self) -> Vec<String> {
        let deaf = self.use_of_text.filter(|used| *used <= 1. - DEAF).map(|used| {
            format!(
                "the mask hardly depends on the text: asked for something else, it keeps a mean DSC of {:.2} with what it \
                 was",
                1. - used
            )
        });
        let only_changing = self.families.iter().all(|family| !family.keeps_meaning).then(|| {
            "all edits change what is asked for: a low DSC against the reference is what the model should answer".into()
        });
        deaf.into_iter().chain(only_changing).collect()
    }
}

impl FamilySensitivity {
    fn new(family: Family, tried: &[&Tried]) -> Option<Self> {
        let farthest = tried.iter().min_by(|a, b| a.consistency.total_cmp(&b.consistency))?;
        Some(Self {
            family,
            keeps_meaning: family.keeps_meaning(),
            prompts: tried.len(),
            mean_dsc: mean(tried.iter().map(|tried| tried.dsc))?,
            lowest_dsc: tried.iter().map(|tried| tried.dsc).min_by(f64::total_cmp)?,
            mean_consistency: mean(tried.iter().map(|tried| tried.consistency))?,
            lowest_consistency: farthest.consistency,
            farthest_prompt: farthest.text.to_owned(),
        })
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    crate::metric::statistics::mean(&values)
}
