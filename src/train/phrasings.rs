//! How structures are asked for: several phrasings each, so that a model does not learn one string.

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use super::TrainError;
use super::random::{index, uniform};

/// One structure and the texts that mean it.
#[derive(Debug, Clone, Deserialize)]
pub struct Structure {
    /// Names that `prompts.json` files use for it.
    pub names: Vec<String>,
    /// Texts that ask for it.
    pub phrasings: Vec<String>,
    /// Pictures of it are never turned upside down.
    #[serde(default)]
    pub upright: bool,
}

/// All structures of a training run.
#[derive(Debug, Clone, Deserialize)]
pub struct Phrasings {
    structures: Vec<Structure>,
}

impl Phrasings {
    /// Reads a JSON file: `{"structures": [{"names": […], "phrasings": […], "upright": false}]}`.
    ///
    /// # Errors
    /// An unreadable or malformed file, or a structure without names or phrasings.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let text = std::fs::read_to_string(path).map_err(|source| TrainError::Read { path: path.into(), source })?;
        let found: Self =
            serde_json::from_str(&text).map_err(|source| TrainError::Json { path: path.into(), source })?;
        if found.structures.iter().any(|s| s.names.is_empty() || s.phrasings.is_empty()) {
            let reason = "every structure needs names and phrasings".into();
            return Err(TrainError::Data { path: path.into(), reason });
        }
        Ok(found)
    }

    /// Every structure is asked for by its own name alone.
    pub fn names_only<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self { structures: Vec::new() };
        for name in names {
            if found.position(name).is_none() {
                let own = vec![name.to_string()];
                found.structures.push(Structure { names: own.clone(), phrasings: own, upright: false });
            }
        }
        found
    }

    /// Where the structure called `name` stands in the list.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.structures.iter().position(|s| s.names.iter().any(|n| n == name))
    }

    /// The structure at a position.
    pub fn structure(&self, at: usize) -> &Structure {
        &self.structures[at]
    }

    /// All texts, for learning a vocabulary.
    pub fn texts(&self) -> Vec<String> {
        let article = |text: &String| format!("a photo of a {text} the an");
        self.structures.iter().flat_map(|s| s.phrasings.iter().chain(&s.names)).map(article).collect()
    }

    /// A random phrasing, at times with an article before it.
    pub(super) fn draw(&self, at: usize, random: &mut ChaCha8Rng) -> String {
        let phrasings = &self.structures[at].phrasings;
        let text = &phrasings[index(random, phrasings.len())];
        match (uniform(random) * 10.) as usize {
            0 => format!("the {text}"),
            1 => format!("a {text}"),
            2 => format!("a photo of a {text}"),
            _ => text.clone(),
        }
    }

    /// Another structure than the one at `at`, if there is one.
    pub(super) fn draw_other(&self, at: usize, random: &mut ChaCha8Rng) -> Option<usize> {
        let others = self.structures.len().checked_sub(1).filter(|n| *n > 0)?;
        let other = index(random, others);
        Some(if other >= at { other + 1 } else { other })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::random::stream;

    #[test]
    fn another_structure_is_never_the_same_one() {
        let phrasings = Phrasings::names_only(["polyp", "lungs", "polyp"].into_iter());
        assert_eq!((phrasings.position("lungs"), phrasings.position("liver")), (Some(1), None));
        for i in 0..50 {
            assert_eq!(phrasings.draw_other(0, &mut stream(&[i], "other")), Some(1));
            assert!(phrasings.draw(0, &mut stream(&[i], "text")).contains("polyp"));
        }
        assert_eq!(Phrasings::names_only(["polyp"].into_iter()).draw_other(0, &mut stream(&[1], "x")), None);
    }
}
