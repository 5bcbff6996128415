//! Edits of characters: what fingers and fonts do to a word.

use crate::drawing::Draws;

/// A key and those beside it, on a keyboard with the usual English layout.
const KEYS: [(char, &str); 26] = [
    ('a', "qwsz"),
    ('b', "vghn"),
    ('c', "xdfv"),
    ('d', "serfcx"),
    ('e', "wsdr"),
    ('f', "drtgvc"),
    ('g', "ftyhbv"),
    ('h', "gyujnb"),
    ('i', "ujko"),
    ('j', "huikmn"),
    ('k', "jiolm"),
    ('l', "kop"),
    ('m', "njk"),
    ('n', "bhjm"),
    ('o', "iklp"),
    ('p', "ol"),
    ('q', "wa"),
    ('r', "edft"),
    ('s', "awedxz"),
    ('t', "rfgy"),
    ('u', "yhji"),
    ('v', "cfgb"),
    ('w', "qase"),
    ('x', "zsdc"),
    ('y', "tghu"),
    ('z', "asx"),
];

/// Latin letters and letters of other alphabets that look the same in most fonts.
const LOOKALIKES: [(char, char); 14] = [
    ('a', 'а'),
    ('c', 'с'),
    ('e', 'е'),
    ('h', 'һ'),
    ('i', 'і'),
    ('j', 'ј'),
    ('l', 'ӏ'),
    ('n', 'ո'),
    ('o', 'о'),
    ('p', 'р'),
    ('s', 'ѕ'),
    ('u', 'ս'),
    ('x', 'х'),
    ('y', 'у'),
];

/// Places of ASCII letters.
fn letters(characters: &[char]) -> Vec<usize> {
    (0..characters.len()).filter(|at| characters[*at].is_ascii_alphabetic()).collect()
}

/// `count` texts with one slip each: the key beside, two keys swapped, a letter left out, a letter doubled.
pub(super) fn typos(prompt: &str, count: usize, draws: &mut Draws) -> Vec<String> {
    let characters: Vec<char> = prompt.chars().collect();
    let places = letters(&characters);
    if places.len() < 3 {
        return vec![];
    }
    let slip = |kind: usize| {
        let mut typed = characters.clone();
        // The first letter is seldom missed.
        let at = places[draws.count(1, places.len() - 1)];
        match kind {
            0 => typed[at] = beside(typed[at], draws),
            1 => typed.swap(at - 1, at),
            2 => {
                typed.remove(at);
            }
            _ => typed.insert(at, typed[at]),
        }
        typed.into_iter().collect()
    };
    (0..count).map(|n| n % 4).map(slip).collect()
}

fn beside(letter: char, draws: &mut Draws) -> char {
    let small = letter.to_ascii_lowercase();
    let Some((_, keys)) = KEYS.iter().find(|(key, _)| *key == small) else { return letter };
    let keys: Vec<char> = keys.chars().collect();
    let hit = keys[draws.count(0, keys.len() - 1)];
    if letter.is_ascii_uppercase() { hit.to_ascii_uppercase() } else { hit }
}

/// All letters that have a lookalike replaced, and then one at a time.
pub(super) fn homoglyphs(prompt: &str, count: usize, draws: &mut Draws) -> Vec<String> {
    let characters: Vec<char> = prompt.chars().collect();
    let lookalike = |c: char| LOOKALIKES.iter().find(|(latin, _)| *latin == c).map(|(_, other)| *other);
    let places: Vec<usize> = (0..characters.len()).filter(|at| lookalike(characters[*at]).is_some()).collect();
    if places.is_empty() {
        return vec![];
    }
    let all = prompt.chars().map(|c| lookalike(c).unwrap_or(c)).collect();
    let one = |_| {
        let at = places[draws.count(0, places.len() - 1)];
        let mut text = characters.clone();
        text[at] = lookalike(text[at]).unwrap_or(text[at]);
        text.into_iter().collect()
    };
    std::iter::once(all).chain((1..count).map(one)).collect()
}

/// Capitals, small letters, capitals at the beginning of words.
pub(super) fn cases(prompt: &str) -> Vec<String> {
    let title = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
    };
    vec![prompt.to_uppercase(), prompt.to_lowercase(), prompt.split(' ').map(title).collect::<Vec<_>>().join(" ")]
}

/// A full stop, a question mark, an exclamation mark, quotes, wide spaces.
pub(super) fn punctuation(prompt: &str) -> Vec<String> {
    vec![
        format!("{prompt}."),
        format!("{prompt}?"),
        format!("{prompt}!!!"),
        format!("\"{prompt}\""),
        format!("  {}  ", prompt.replace(' ', "   ")),
    ]
}
