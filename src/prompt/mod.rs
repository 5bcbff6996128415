//! Edits of a prompt: how much does the text matter to a model, and how little of it breaks the mask?
//!
//! Edits come in families, and there are two sorts of them, as in Ribeiro et al., *Beyond Accuracy: Behavioral Testing
//! of NLP Models with CheckList*, 2020, arXiv 2005.04118. One keeps what is asked for (a typo, another word for the
//! same thing): the mask should stay, and if it does not the model is fragile. The other changes what is asked for
//! (another organ, nothing at all): the mask should change, and if it does not the model does not read the text.
//!
//! Every edit is one of the text, never of token ids: the model's own tokenizer reads it anew, so no edit can put a
//! start or end token into the middle of a prompt, and none can spell what the tokenizer would never make.

mod family;
mod meaning;
mod sensitivity;
mod spelling;
#[cfg(test)]
mod tests;
mod wording;

pub use family::{Edits, Family};
pub use sensitivity::{FamilySensitivity, PromptSensitivity, Tried};

use std::collections::BTreeSet;

use crate::drawing::Draws;
use crate::model::tokenizer::{END_OF_TEXT, START_OF_TEXT};

/// Characters of an edited prompt, at most: what a request may have, and room for padding.
const MOST_CHARACTERS: usize = 4000;

/// Characters of a text that is given.
const MOST_GIVEN: usize = 1000;

/// Refuses a text of a caller that cannot stand for a prompt.
///
/// # Errors
/// The rule that it breaks.
pub fn check_text(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() || text.chars().count() > MOST_GIVEN || text.contains('\0') {
        return Err("a text has 1 to 1000 characters, one of them no space and none of them U+0000");
    }
    if [START_OF_TEXT, END_OF_TEXT].iter().any(|token| text.contains(token)) {
        return Err("a special token would end the prompt: leave it out");
    }
    Ok(())
}

/// An edited prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// What was done.
    pub family: Family,
    /// The prompt afterwards.
    pub text: String,
}

/// The edits of `prompt` that belong to `families`, each text once and none equal to the prompt. `key` gives the random
/// numbers of a family.
pub fn edits(prompt: &str, families: &[Family], key: impl Fn(Family) -> [u8; 32]) -> Vec<Edit> {
    let mut known = BTreeSet::from([prompt.to_owned()]);
    let of = |family: Family| {
        let texts = family.edit(prompt, &mut Draws::from_key(key(family)));
        texts.into_iter().map(move |text| Edit { family, text })
    };
    let all = families.iter().copied().flat_map(of);
    all.filter(|edit| edit.text.chars().count() <= MOST_CHARACTERS && known.insert(edit.text.clone())).collect()
}
