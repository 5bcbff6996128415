//! The flags of attacks on the text, shared by the commands that attack one image and many.

use clap::Args;
use serde_json::Value;

use crate::prompt::Edits;

/// Which other texts, for the methods that have such a parameter.
#[derive(Debug, Clone, Default, Args)]
pub struct PromptArgs {
    /// Edits of the prompt (typo, synonym, ...; a wrong name lists all), or all, keeping, changing what is asked for;
    /// the method's choice unless given.
    #[arg(long, value_name = "EDITS")]
    edits: Option<Edits>,
    /// Other words for the same thing, tried as well; may be repeated.
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// How often texts are edited again (prompt: from 1 to 4), or image and text take turns (joint: from 1 to 8).
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// How many texts of a round are edited again, from 1 to 16.
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
}

impl PromptArgs {
    /// The parameters that were given: the flag, the name in requests and the value.
    pub fn given(&self) -> Vec<(&'static str, &'static str, Option<Value>)> {
        let texts = (!self.text.is_empty()).then(|| self.text.clone().into());
        vec![
            ("--edits", "edits", self.edits.map(|edits| edits.name().into())),
            ("--text", "texts", texts),
            ("--rounds", "rounds", self.rounds.map(Value::from)),
            ("--beam", "beam", self.beam.map(Value::from)),
        ]
    }
}
