//! The flags of prompt edits, shared by the commands that attack one image and many.

use anyhow::{Result, bail};
use clap::Args;

use crate::attack::{AttackSpec, Prompt};
use crate::prompt::Edits;

/// Which edits of the prompt.
#[derive(Debug, Clone, Default, Args)]
pub struct PromptArgs {
    /// Edits of the prompt (typo, synonym, ...; a wrong name lists all), or all, keeping, changing what is asked for;
    /// all unless given.
    #[arg(long, value_name = "EDITS")]
    edits: Option<Edits>,
    /// Other words for the same thing, tried as well; may be repeated.
    #[arg(long, value_name = "TEXT")]
    text: Vec<String>,
    /// How often texts are edited again, from 1 to 4; 1 unless given.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// How many texts of a round are edited again, from 1 to 16; 4 unless given.
    #[arg(long, value_name = "N")]
    beam: Option<usize>,
}

impl PromptArgs {
    /// The attack that these flags describe.
    pub fn spec(&self) -> AttackSpec {
        let default = Prompt::default();
        AttackSpec::Prompt(Prompt {
            edits: self.edits.unwrap_or(default.edits),
            texts: self.text.clone(),
            rounds: self.rounds.unwrap_or(default.rounds),
            beam: self.beam.unwrap_or(default.beam),
        })
    }

    /// Refuses these flags where the prompt is not edited.
    ///
    /// # Errors
    /// The name of such a flag.
    pub fn refuse(&self) -> Result<()> {
        let given = [
            ("--edits", self.edits.is_some()),
            ("--text", !self.text.is_empty()),
            ("--rounds", self.rounds.is_some()),
            ("--beam", self.beam.is_some()),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            Some((flag, _)) => bail!("{flag} belongs to prompt: leave it out, or add --method prompt"),
            None => Ok(()),
        }
    }
}
