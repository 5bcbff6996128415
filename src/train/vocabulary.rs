//! Learning a small CLIP-style vocabulary from the phrases a model will meet.
//!
//! Byte pair encoding (Sennrich et al., *Neural Machine Translation of Rare Words with Subword Units*,
//! 2016): every word starts as its bytes, and the pair of neighbours that occurs most often becomes one
//! symbol, again and again. The layout is CLIP's, so a folder written here is read by anything that reads
//! CLIP's tokenizer: 256 byte characters, the same with `</w>`, the merges in the order in which they were
//! learned, and the two special tokens last.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::model::tokenizer::{self, END_OF_TEXT, END_OF_WORD, START_OF_TEXT, TokenizerError};

/// Tokens that CLIP's text tower has room for.
const MAX_TOKENS: usize = 77;

/// A vocabulary file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}: {source}", path.display())]
pub struct VocabularyError {
    path: PathBuf,
    source: std::io::Error,
}

/// A byte-level BPE vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// Tokens in the order of their ids.
    pub vocab: Vec<String>,
    /// Pairs in the order in which they are merged.
    pub merges: Vec<(String, String)>,
}

/// Learns at most `merges` merges from phrases; fewer if every word has become one token.
///
/// The same phrases in any order give the same vocabulary: of pairs that occur equally often the one whose
/// text sorts first is merged.
///
/// # Errors
/// A phrase that cannot be split into words.
pub fn learn(phrases: &[String], merges: usize) -> Result<Vocabulary, TokenizerError> {
    let mut words = spelled_words(phrases)?;
    let bytes: Vec<String> = tokenizer::byte_characters().map(String::from).collect();
    let mut vocab: Vec<String> =
        bytes.iter().cloned().chain(bytes.iter().map(|b| format!("{b}{END_OF_WORD}"))).collect();
    let mut known: HashSet<String> = vocab.iter().cloned().collect();
    let mut learned = Vec::new();
    while learned.len() < merges {
        let Some((a, b)) = most_frequent_pair(&words) else { break };
        let joined = format!("{a}{b}");
        for (symbols, _) in &mut words {
            merge(symbols, (&a, &b), &joined);
        }
        // Two ways of cutting the same text lead to one token.
        if known.insert(joined.clone()) {
            vocab.push(joined);
        }
        learned.push((a, b));
    }
    vocab.extend([START_OF_TEXT, END_OF_TEXT].map(String::from));
    Ok(Vocabulary { vocab, merges: learned })
}

/// Words as symbols, each with its number of occurrences, in the order of their text.
fn spelled_words(phrases: &[String]) -> Result<Vec<(Vec<String>, usize)>, TokenizerError> {
    let mut counts = BTreeMap::new();
    for phrase in phrases {
        for word in tokenizer::words(phrase)? {
            *counts.entry(word).or_insert(0) += 1;
        }
    }
    let spell = |word: String| {
        let mut symbols: Vec<String> = word.chars().map(String::from).collect();
        if let Some(last) = symbols.last_mut() {
            last.push_str(END_OF_WORD);
        }
        symbols
    };
    Ok(counts.into_iter().map(|(word, count)| (spell(word), count)).collect())
}

fn most_frequent_pair(words: &[(Vec<String>, usize)]) -> Option<(String, String)> {
    let mut counts: HashMap<(&str, &str), usize> = HashMap::new();
    for (symbols, count) in words {
        for pair in symbols.windows(2) {
            *counts.entry((&pair[0], &pair[1])).or_insert(0) += count;
        }
    }
    let ((a, b), _) = counts.into_iter().max_by(|(p, n), (q, m)| n.cmp(m).then_with(|| q.cmp(p)))?;
    Some((a.to_owned(), b.to_owned()))
}

/// Replaces the pair by its merged symbol, from left to right.
fn merge(symbols: &mut Vec<String>, (a, b): (&str, &str), joined: &str) {
    let mut i = 0;
    while i + 1 < symbols.len() {
        if symbols[i] == a && symbols[i + 1] == b {
            symbols[i] = joined.to_owned();
            symbols.remove(i + 1);
        }
        i += 1;
    }
}

impl Vocabulary {
    /// Writes `vocab.json`, `merges.txt`, `special_tokens_map.json` and `tokenizer_config.json` into a
    /// folder, which is created if it is missing.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), VocabularyError> {
        let ids: Map<String, Value> = self.vocab.iter().enumerate().map(|(id, t)| (t.clone(), json!(id))).collect();
        let pairs: String = self.merges.iter().map(|(a, b)| format!("{a} {b}\n")).collect();
        let special = json!({
            "bos_token": START_OF_TEXT, "eos_token": END_OF_TEXT, "unk_token": END_OF_TEXT, "pad_token": END_OF_TEXT,
        });
        let mut config = json!({
            "tokenizer_class": "CLIPTokenizer", "model_max_length": MAX_TOKENS,
            "do_lower_case": true, "add_prefix_space": false, "errors": "replace",
        });
        if let (Value::Object(config), Value::Object(special)) = (&mut config, special.clone()) {
            config.extend(special);
        }
        let at = |path: PathBuf| move |source| VocabularyError { path, source };
        std::fs::create_dir_all(folder).map_err(at(folder.to_owned()))?;
        for (name, text) in [
            ("vocab.json", Value::Object(ids).to_string()),
            ("merges.txt", format!("#version: 0.2\n{pairs}")),
            ("special_tokens_map.json", format!("{special:#}\n")),
            ("tokenizer_config.json", format!("{config:#}\n")),
        ] {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(at(path.clone()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tokenizer::Tokenizer;

    fn phrases() -> Vec<String> {
        ["a red square", "a red circle", "the red circle", "naïve square's edge, 12"].map(String::from).to_vec()
    }

    #[test]
    fn the_most_frequent_pair_is_merged_first_and_ties_are_broken_by_text() {
        // "red" occurs 3 times: e-d</w> and r-e tie, and 'e' sorts first. "a" is a word of one symbol.
        let learned = learn(&phrases()[..3], 2).unwrap();
        let pairs = [("e", "d</w>"), ("r", "ed</w>")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(learned.merges, pairs);
        assert_eq!(learned.vocab.len(), 512 + 2 + 2);
        assert_eq!(learned.vocab[512..], ["ed</w>", "red</w>", START_OF_TEXT, END_OF_TEXT]);
        assert_eq!((learned.vocab[0].as_str(), learned.vocab[256].as_str()), ("!", "!</w>"));
    }

    #[test]
    fn the_order_of_the_phrases_does_not_matter() {
        let mut turned = phrases();
        turned.reverse();
        assert_eq!(learn(&phrases(), 30).unwrap(), learn(&turned, 30).unwrap());
    }

    #[test]
    fn learning_stops_when_every_word_is_one_token() {
        let learned = learn(&phrases(), 10_000).unwrap();
        assert!(learned.merges.len() < 100);
        let distinct: HashSet<_> = learned.vocab.iter().collect();
        assert_eq!(distinct.len(), learned.vocab.len());
    }

    #[test]
    fn what_is_written_is_a_tokenizer_that_knows_the_phrases() {
        let folder = tempfile::tempdir().unwrap();
        let learned = learn(&phrases(), 10_000).unwrap();
        learned.write(folder.path()).unwrap();
        let tokenizer = Tokenizer::open(folder.path()).unwrap();
        assert_eq!(tokenizer.vocab_size(), learned.vocab.len());
        let id = |token: &str| learned.vocab.iter().position(|t| t == token).unwrap() as u32;
        let wanted = vec![id(START_OF_TEXT), id("the</w>"), id("red</w>"), id("circle</w>"), id(END_OF_TEXT)];
        assert_eq!(tokenizer.encode("The  RED circle", 77).unwrap(), wanted);
        let unseen = tokenizer.encode("日本 x", 77).unwrap();
        assert_eq!(tokenizer.decode(&unseen).unwrap(), "日本 x");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = learn(&phrases(), 1).unwrap().write(&file.join("sub")).unwrap_err().to_string();
        assert!(error.contains("sub"), "{error}");
    }
}
