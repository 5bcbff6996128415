//! The tokens that a model reads a text as.

use candle_core::Tensor;

use super::ModelError;
use super::tokenizer::{Tokenizer, TokenizerError};

/// A tokenizer, the embedding of each of its tokens, and how many tokens the model reads.
#[derive(Debug, Clone)]
pub struct Vocabulary {
    tokenizer: Tokenizer,
    embeddings: Tensor,
    most_tokens: usize,
}

impl Vocabulary {
    /// `embeddings` `[tokens of the vocabulary, width]`; `most_tokens` counts start and end.
    pub fn new(tokenizer: Tokenizer, embeddings: Tensor, most_tokens: usize) -> Self {
        Self { tokenizer, embeddings: embeddings.detach(), most_tokens }
    }

    /// The embedding of each token, `[tokens of the vocabulary, width]`, on the model's device.
    pub fn embeddings(&self) -> &Tensor {
        &self.embeddings
    }

    /// Tokens that the model reads of a text, start and end included.
    pub fn most_tokens(&self) -> usize {
        self.most_tokens
    }

    /// The ids that the model reads, with start and end: a longer text is cut off.
    ///
    /// # Errors
    /// [`ModelError::Prompt`] if the text cannot be tokenised.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.encode(text, self.most_tokens)
    }

    /// The ids of the whole text, with start and end, also of what the model does not read.
    ///
    /// # Errors
    /// [`ModelError::Prompt`] if the text cannot be tokenised.
    pub fn all_ids(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        self.encode(text, usize::MAX)
    }

    fn encode(&self, text: &str, most: usize) -> Result<Vec<u32>, ModelError> {
        let refused = |error: TokenizerError| ModelError::Prompt { prompt: text.into(), reason: error.to_string() };
        self.tokenizer.encode(text, most).map_err(refused)
    }

    /// The text that is tokenised to exactly these ids, start and end included; `None` if there is none that can be
    /// typed: tokens that merge into others, half a character, a special token in the middle.
    pub fn typed(&self, ids: &[u32]) -> Option<String> {
        let text = self.tokenizer.decode(ids).ok()?;
        let can_be_typed = !text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER);
        (can_be_typed && self.all_ids(&text).is_ok_and(|again| again == ids)).then_some(text)
    }

    /// Whether a token means something else than letters: start, end and padding.
    pub fn is_special(&self, id: u32) -> bool {
        self.tokenizer.is_special(id)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use candle_core::{DType, Device};
    use proptest::prelude::*;

    use super::*;

    fn vocabulary() -> Vocabulary {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity/tiny");
        let embeddings = Tensor::zeros((664, 1), DType::F32, &Device::Cpu).unwrap();
        Vocabulary::new(Tokenizer::open(&folder).unwrap(), embeddings, 77)
    }

    #[test]
    fn what_can_be_typed_comes_back_and_nothing_else() {
        let vocabulary = vocabulary();
        let ids = vocabulary.all_ids("One small, pink polyp").unwrap();
        assert_eq!(vocabulary.typed(&ids).as_deref(), Some("one small , pink polyp"));
        // an end token in the middle would cut the text off
        let cut = [&ids[..2], &ids[ids.len() - 1..], &ids[2..]].concat();
        assert_eq!(vocabulary.typed(&cut), None);
        // the last token of a word without the mark of its end joins the next word
        assert_eq!(vocabulary.typed(&[ids[0], 79, ids[ids.len() - 1]]), None);
        assert!(vocabulary.is_special(ids[0]) && vocabulary.is_special(ids[ids.len() - 1]));
        assert!(!vocabulary.is_special(79));
        let long = vocabulary.ids(&"polyp ".repeat(100)).unwrap();
        assert_eq!((long.len(), vocabulary.all_ids(&"polyp ".repeat(100)).unwrap().len()), (77, 102));
    }

    proptest! {
        #[test]
        fn any_ids_either_come_back_or_are_refused(ids in proptest::collection::vec(0u32..664, 0..12)) {
            let vocabulary = vocabulary();
            let ends = vocabulary.ids("").unwrap();
            let ids = [&ends[..1], &ids, &ends[1..]].concat();
            if let Some(text) = vocabulary.typed(&ids) {
                prop_assert_eq!(vocabulary.all_ids(&text).unwrap(), ids);
            }
        }
    }
}
