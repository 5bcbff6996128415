//! The families of edits, their names, and choices among them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{meaning, spelling, wording};
use crate::drawing::Draws;

/// One way to edit a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PromptFamily)]
pub enum Family {
    /// The caller's own other words for the same thing.
    Given,
    /// One letter wrong, doubled, left out or swapped.
    Typo,
    /// Letters that look the same and are others.
    Homoglyph,
    /// Capital letters.
    Case,
    /// Marks and spaces around the words.
    Punctuation,
    /// Another word for the same thing.
    Synonym,
    /// A sentence around the same words.
    Paraphrase,
    /// The same words in another order.
    WordOrder,
    /// Much text that says nothing, before or behind.
    Padding,
    /// No text.
    Empty,
    /// Another structure.
    WrongStructure,
    /// Something that is in no medical picture.
    Irrelevant,
    /// All but the structure.
    Negation,
    /// Another colour, size or number.
    Attribute,
    /// Another side or place.
    Location,
}

impl Family {
    /// All families, those that keep what is asked for first.
    pub const ALL: [Self; 15] = [
        Self::Given,
        Self::Typo,
        Self::Homoglyph,
        Self::Case,
        Self::Punctuation,
        Self::Synonym,
        Self::Paraphrase,
        Self::WordOrder,
        Self::Padding,
        Self::Empty,
        Self::WrongStructure,
        Self::Irrelevant,
        Self::Negation,
        Self::Attribute,
        Self::Location,
    ];

    /// The name used in requests and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::Typo => "typo",
            Self::Homoglyph => "homoglyph",
            Self::Case => "case",
            Self::Punctuation => "punctuation",
            Self::Synonym => "synonym",
            Self::Paraphrase => "paraphrase",
            Self::WordOrder => "word_order",
            Self::Padding => "padding",
            Self::Empty => "empty",
            Self::WrongStructure => "wrong_structure",
            Self::Irrelevant => "irrelevant",
            Self::Negation => "negation",
            Self::Attribute => "attribute",
            Self::Location => "location",
        }
    }

    /// Whether a person would still look for the same thing.
    pub fn keeps_meaning(self) -> bool {
        self < Self::Empty
    }

    /// The most edits that it makes of one prompt, [`Self::Given`] apart.
    pub(super) fn most(self) -> usize {
        match self {
            Self::Given => 0,
            Self::Typo | Self::Synonym => 8,
            Self::Case => 3,
            Self::Homoglyph | Self::Paraphrase => 6,
            Self::Punctuation => 5,
            Self::WordOrder => 2,
            Self::Padding => 3,
            Self::Empty => 1,
            Self::WrongStructure => 5,
            Self::Irrelevant | Self::Negation => 4,
            Self::Attribute | Self::Location => 6,
        }
    }

    /// The edited prompts; they may be equal to each other and to the prompt.
    pub(super) fn edit(self, prompt: &str, draws: &mut Draws) -> Vec<String> {
        let mut texts = match self {
            Self::Given => vec![],
            Self::Typo => spelling::typos(prompt, self.most(), draws),
            Self::Homoglyph => spelling::homoglyphs(prompt, self.most(), draws),
            Self::Case => spelling::cases(prompt),
            Self::Punctuation => spelling::punctuation(prompt),
            Self::Synonym => wording::synonyms(prompt),
            Self::Paraphrase => wording::paraphrases(prompt),
            Self::WordOrder => wording::orders(prompt),
            Self::Padding => wording::padded(prompt),
            Self::Empty => vec![String::new()],
            Self::WrongStructure => meaning::other_structures(prompt, self.most(), draws),
            Self::Irrelevant => meaning::irrelevant(),
            Self::Negation => meaning::negations(prompt),
            Self::Attribute => meaning::attributes(prompt),
            Self::Location => meaning::locations(prompt),
        };
        texts.truncate(self.most());
        texts
    }
}

/// A choice of families by a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Edits {
    /// Every family. Those that change what is asked for are measured and never chosen as the adversarial prompt.
    #[default]
    All,
    /// The families that keep what is asked for.
    Keeping,
    /// The families that change what is asked for.
    Changing,
    /// One family.
    One(Family),
}

impl Edits {
    /// The name used in requests and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Keeping => "keeping",
            Self::Changing => "changing",
            Self::One(family) => family.name(),
        }
    }

    /// The families, in the order of [`Family::ALL`].
    pub fn families(self) -> Vec<Family> {
        let chosen = |family: &Family| match self {
            Self::All => true,
            Self::Keeping => family.keeps_meaning(),
            Self::Changing => !family.keeps_meaning(),
            Self::One(one) => *family == one,
        };
        Family::ALL.into_iter().filter(chosen).collect()
    }

    /// Whether an edit of `family` may be the adversarial prompt: one that keeps what is asked for, unless only others
    /// were asked for.
    pub fn count(self, family: Family) -> bool {
        family.keeps_meaning() || !self.families().iter().any(|one| one.keeps_meaning())
    }

    /// The most edits of one prompt, without those that are given.
    pub fn most(self) -> usize {
        self.families().into_iter().map(Family::most).sum()
    }

    /// Every choice.
    pub fn every() -> impl Iterator<Item = Self> {
        [Self::All, Self::Keeping, Self::Changing].into_iter().chain(Family::ALL.map(Self::One))
    }
}

impl fmt::Display for Edits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Not the name of a family or a sort of families.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there are no edits {0:?}: use one of {names}", names = Edits::every().map(Edits::name).collect::<Vec<_>>().join(", "))]
pub struct UnknownEdits(String);

impl FromStr for Edits {
    type Err = UnknownEdits;

    fn from_str(name: &str) -> Result<Self, UnknownEdits> {
        Self::every().find(|edits| edits.name() == name).ok_or_else(|| UnknownEdits(name.into()))
    }
}

impl TryFrom<String> for Edits {
    type Error = UnknownEdits;

    fn try_from(name: String) -> Result<Self, UnknownEdits> {
        name.parse()
    }
}

impl From<Edits> for String {
    fn from(edits: Edits) -> Self {
        edits.name().into()
    }
}

/// By hand: one list of names.
impl PartialSchema for Edits {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("One family of edits, those that keep or change what is asked for, or all."))
            .enum_values(Some(Self::every().map(Self::name)))
            .into()
    }
}

impl ToSchema for Edits {
    fn name() -> Cow<'static, str> {
        "PromptEdits".into()
    }
}
