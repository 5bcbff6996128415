//! Several prompts: an image that fools the model under one of them need not fool it under the others.

use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DefenceError, Transformation};
use crate::drawing::Draws;
use crate::prompt::{Family, check_text, edits};

/// Prompts of an answer, at most.
const MOST_PROMPTS: usize = 16;

/// The model is asked under the prompt and under others for the same thing; the logits are averaged. The image stays as
/// it is, and the gradient is the mean of the gradients under each prompt, each of them exact. The averaging of
/// templates is that of Radford et al. 2021, arXiv 2103.00020, on logits in the place of embeddings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = PromptEnsembleDefence)]
pub struct PromptEnsemble {
    /// The other prompts, at most 15; the synonyms and sentences of `prompt` if there are none.
    #[schema(max_items = 15)]
    pub prompts: Vec<String>,
}

impl Transformation for PromptEnsemble {
    fn check(&self) -> std::result::Result<(), DefenceError> {
        let few = self.prompts.len() < MOST_PROMPTS;
        DefenceError::unless(few, "prompts", format!("{} prompts", self.prompts.len()), "give at most 15")?;
        for prompt in &self.prompts {
            if let Err(rule) = check_text(prompt) {
                return Err(DefenceError { parameter: "prompts", value: format!("{prompt:?}"), rule });
            }
        }
        Ok(())
    }

    fn apply(&self, x: &Tensor, _draws: &mut Draws) -> Result<Tensor> {
        Ok(x.clone())
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn companions(&self, prompt: &str) -> Vec<String> {
        if !self.prompts.is_empty() {
            return self.prompts.iter().filter(|other| *other != prompt).cloned().collect();
        }
        // These two families draw no random numbers.
        let others = edits(prompt, &[Family::Synonym, Family::Paraphrase], |_| [0; 32]);
        others.into_iter().map(|edit| edit.text).take(MOST_PROMPTS - 1).collect()
    }
}
