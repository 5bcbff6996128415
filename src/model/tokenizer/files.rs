//! The files of a tokenizer, checked before the BPE is built from them.
//!
//! The ids must number the rows of an embedding table without gaps, and every merge must join two known
//! tokens to a third one: anything else is a damaged file or one of another model.

use std::collections::HashMap;
use std::path::Path;

use serde::Deserialize;
use tokenizers::models::bpe::Merges;

use super::TokenizerError;

/// Token to id.
pub(super) type Vocabulary = HashMap<String, u32>;

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TokenizerError> {
    std::fs::read(path).map_err(|source| TokenizerError::Read { path: path.to_owned(), source })
}

pub(super) fn format(path: &Path, reason: impl ToString) -> TokenizerError {
    TokenizerError::Format { path: path.to_owned(), reason: reason.to_string() }
}

/// Reads a `vocab.json`.
pub(super) fn parse_vocab(path: &Path, bytes: &[u8]) -> Result<Vocabulary, TokenizerError> {
    let vocab: Vocabulary =
        serde_json::from_slice(bytes).map_err(|e| format(path, format!("not a map from token to id: {e}")))?;
    check_ids(path, vocab.values().copied())?;
    Ok(vocab)
}

/// Reads a `merges.txt`: a pair a line, separated by a space, below an optional line with a version.
pub(super) fn parse_merges(path: &Path, bytes: &[u8], vocab: &Vocabulary) -> Result<Merges, TokenizerError> {
    let text = std::str::from_utf8(bytes).map_err(|e| format(path, e))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    let merges = lines
        .map(|(n, line)| pair(line).ok_or_else(|| format(path, format!("line {}: not two tokens: {line:?}", n + 1))))
        .collect::<Result<Merges, _>>()?;
    check_merges(path, &merges, vocab)?;
    Ok(merges)
}

/// Refuses a `tokenizer.json` whose model is not a sound BPE.
pub(super) fn check_tokenizer_json(path: &Path, bytes: &[u8]) -> Result<(), TokenizerError> {
    #[derive(Deserialize)]
    struct File {
        model: Model,
        #[serde(default)]
        added_tokens: Vec<Added>,
    }
    #[derive(Deserialize)]
    struct Model {
        vocab: Vocabulary,
        merges: Vec<Merge>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Merge {
        Pair(String, String),
        Line(String),
    }
    #[derive(Deserialize)]
    struct Added {
        id: u32,
        content: String,
    }
    let file: File =
        serde_json::from_slice(bytes).map_err(|e| format(path, format!("not a tokenizer with a BPE model: {e}")))?;
    let merges = file.model.merges.into_iter().map(|merge| match merge {
        Merge::Pair(a, b) => Ok((a, b)),
        Merge::Line(line) => pair(&line).ok_or_else(|| format(path, format!("merge {line:?} is not two tokens"))),
    });
    check_merges(path, &merges.collect::<Result<Merges, _>>()?, &file.model.vocab)?;
    let mut vocab = file.model.vocab;
    vocab.extend(file.added_tokens.into_iter().map(|added| (added.content, added.id)));
    check_ids(path, vocab.into_values())
}

fn pair(line: &str) -> Option<(String, String)> {
    let (a, b) = line.split_once(' ')?;
    (!a.is_empty() && !b.is_empty() && !b.contains(' ')).then(|| (a.to_owned(), b.to_owned()))
}

fn check_ids(path: &Path, ids: impl ExactSizeIterator<Item = u32>) -> Result<(), TokenizerError> {
    let count = ids.len();
    let mut seen = vec![false; count];
    for id in ids {
        match seen.get_mut(id as usize) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(format(path, format!("two tokens have the id {id}"))),
            None => return Err(format(path, format!("id {id} is out of range: there are {count} tokens"))),
        }
    }
    Ok(())
}

fn check_merges(path: &Path, merges: &Merges, vocab: &Vocabulary) -> Result<(), TokenizerError> {
    let mut joined = String::new();
    for (a, b) in merges {
        joined.clear();
        joined.extend([a.as_str(), b.as_str()]);
        if let Some(unknown) = [a, b, &joined].into_iter().find(|token| !vocab.contains_key(*token)) {
            return Err(format(path, format!("merge of {a:?} and {b:?}: the vocabulary has no token {unknown:?}")));
        }
    }
    Ok(())
}
