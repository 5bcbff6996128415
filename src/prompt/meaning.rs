//! Edits that change what is asked for.

use super::wording::{replaced, synonyms};
use crate::drawing::Draws;

/// What pictures of other modalities are segmented for.
const STRUCTURES: [&str; 16] = [
    "polyp",
    "skin lesion",
    "fetal head",
    "lungs",
    "left ventricle",
    "liver",
    "kidney",
    "brain tumor",
    "breast tumor",
    "foot ulcer",
    "optic disc",
    "retinal blood vessels",
    "cell nuclei",
    "tooth",
    "spine",
    "surgical instrument",
];

/// Words of which one cannot stand for the other.
const ATTRIBUTES: [(&str, &str); 8] = [
    ("small", "large"),
    ("one", "several"),
    ("red", "blue"),
    ("round", "elongated"),
    ("bright", "dark"),
    ("flat", "bulging"),
    ("pink", "white"),
    ("smooth", "ragged"),
];
const PLACES: [(&str, &str); 6] = [
    ("left", "right"),
    ("upper", "lower"),
    ("top", "bottom"),
    ("center", "corner"),
    ("anterior", "posterior"),
    ("medial", "lateral"),
];

/// Shorter words are in every prompt.
const TELLING_LETTERS: usize = 4;

/// `count` structures that share no telling word with the prompt or with another name of what it asks for.
pub(super) fn other_structures(prompt: &str, count: usize, draws: &mut Draws) -> Vec<String> {
    let names: Vec<String> = std::iter::once(prompt.to_owned()).chain(synonyms(prompt)).collect();
    let known = |word: &str| {
        let same = |other: &str| other.to_ascii_lowercase().trim_end_matches('s') == word.trim_end_matches('s');
        names.iter().any(|name| name.split(|c: char| !c.is_alphanumeric()).any(same))
    };
    let telling = |structure: &str| structure.split(' ').any(|word| word.len() >= TELLING_LETTERS && known(word));
    let mut others: Vec<&str> = STRUCTURES.into_iter().filter(|structure| !telling(structure)).collect();
    (0..count.min(others.len())).map(|_| others.swap_remove(draws.count(0, others.len() - 1)).to_owned()).collect()
}

/// Things that are in no medical picture, and letters that are no words.
pub(super) fn irrelevant() -> Vec<String> {
    ["a bicycle in the rain", "two cups of coffee", "tomorrow", "qzx wvk jjq"].map(String::from).to_vec()
}

/// All but the structure.
pub(super) fn negations(prompt: &str) -> Vec<String> {
    vec![
        format!("no {prompt}"),
        format!("not a {prompt}"),
        format!("everything except the {prompt}"),
        format!("background without {prompt}"),
    ]
}

/// The opposite of each attribute that the prompt has, or both of some pairs if it has none: at most one of a pair is
/// right.
pub(super) fn attributes(prompt: &str) -> Vec<String> {
    swapped(prompt, &ATTRIBUTES).unwrap_or_else(|| both(&ATTRIBUTES[..3], |word| format!("{word} {prompt}")))
}

/// As [`attributes`], for sides and places.
pub(super) fn locations(prompt: &str) -> Vec<String> {
    swapped(prompt, &PLACES).unwrap_or_else(|| both(&PLACES[..3], |word| format!("{prompt} in the {word} part")))
}

fn swapped(prompt: &str, pairs: &[(&str, &str)]) -> Option<Vec<String>> {
    let swap = |(a, b): &(&str, &str)| replaced(prompt, a, b).or_else(|| replaced(prompt, b, a));
    let texts: Vec<String> = pairs.iter().filter_map(swap).collect();
    (!texts.is_empty()).then_some(texts)
}

fn both(pairs: &[(&str, &str)], say: impl Fn(&str) -> String) -> Vec<String> {
    pairs.iter().flat_map(|(a, b)| [say(a), say(b)]).collect()
}
