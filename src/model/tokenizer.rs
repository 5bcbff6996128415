//! Text to token ids: CLIP's byte-level BPE.
//!
//! A prompt is normalised (NFC, runs of white space become one space, lower case) and cut into words.
//! The UTF-8 bytes of a word are spelled with 256 printable characters, the last of which carries
//! the suffix `</w>`, and pairs are merged in the order in which they were learned. The ids stand between
//! `<|startoftext|>` and `<|endoftext|>`.
//!
//! Byte-level BPE: Radford et al., *Language Models are Unsupervised Multitask Learners*, 2019. This
//! variant: Radford et al., *Learning Transferable Visual Models From Natural Language Supervision*, 2021.

mod files;

use std::path::{Path, PathBuf};

use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::replace::ReplacePattern;
use tokenizers::normalizers::{Lowercase, NFC, NormalizerWrapper, Replace, Sequence as Normalizers};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::processors::roberta::RobertaProcessing;
use tokenizers::{
    AddedToken, Normalizer, OffsetReferential, OffsetType, PreTokenizedString, PreTokenizer, SplitDelimiterBehavior,
};

/// What a word is; white space is what lies between words.
const WORD: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// The token every prompt starts with.
pub const START_OF_TEXT: &str = "<|startoftext|>";

/// The token every prompt ends with; also CLIP's padding and its answer to unknown symbols.
pub const END_OF_TEXT: &str = "<|endoftext|>";

/// Marks a symbol that ends a word.
pub const END_OF_WORD: &str = "</w>";

/// What can go wrong with a tokenizer.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// A file is not what its name says.
    #[error("{}: {reason}", path.display())]
    Format { path: PathBuf, reason: String },
    /// There is no room for the start and the end token.
    #[error("a prompt needs room for at least 2 tokens, not {0}")]
    NoRoom(usize),
    /// The tokenizer refused a text.
    #[error("cannot tokenise {text:?}: {source}")]
    Text { text: String, source: tokenizers::Error },
}

/// CLIP's tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos: u32,
    eos: u32,
}

impl Tokenizer {
    /// Reads `tokenizer.json` of a model's folder or, where there is none, `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// A file that is missing, or that is not a CLIP tokenizer; the error names it.
    pub fn open(folder: &Path) -> Result<Self, TokenizerError> {
        let one_file = folder.join("tokenizer.json");
        if one_file.exists() {
            return Self::from_one_file(&one_file, &files::read(&one_file)?);
        }
        let (vocab, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
        Self::from_two_files((&vocab, &files::read(&vocab)?), (&merges, &files::read(&merges)?))
    }

    /// The tokenizer in the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// Bytes that are not a CLIP tokenizer.
    pub fn from_tokenizer_json(bytes: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_one_file(Path::new("tokenizer.json"), bytes)
    }

    /// The tokenizer in the bytes of a `vocab.json` and a `merges.txt`.
    ///
    /// # Errors
    /// Bytes that are not a vocabulary with its merges.
    pub fn from_vocab_and_merges(vocab: &[u8], merges: &[u8]) -> Result<Self, TokenizerError> {
        Self::from_two_files((Path::new("vocab.json"), vocab), (Path::new("merges.txt"), merges))
    }

    fn from_one_file(path: &Path, bytes: &[u8]) -> Result<Self, TokenizerError> {
        files::check_tokenizer_json(path, bytes)?;
        let mut inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|e| files::format(path, e))?;
        inner.with_truncation(None).map_err(|e| files::format(path, e))?.with_padding(None);
        Self::checked(path, inner)
    }

    fn from_two_files(vocab: (&Path, &[u8]), merges: (&Path, &[u8])) -> Result<Self, TokenizerError> {
        let path = vocab.0;
        let bad = |e: tokenizers::Error| files::format(path, e);
        let vocab = files::parse_vocab(vocab.0, vocab.1)?;
        let merges = files::parse_merges(merges.0, merges.1, &vocab)?;
        let [bos, eos] = [START_OF_TEXT, END_OF_TEXT].map(|token| vocab.get(token).copied());
        let (Some(bos), Some(eos)) = (bos, eos) else {
            return Err(files::format(path, format!("lacks {START_OF_TEXT} or {END_OF_TEXT}: not a CLIP vocabulary")));
        };
        let model = BPE::builder()
            .vocab_and_merges(vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
            .end_of_word_suffix(END_OF_WORD.into())
            .unk_token(END_OF_TEXT.into())
            .build()
            .map_err(bad)?;
        let mut inner = tokenizers::Tokenizer::new(model);
        let ends = RobertaProcessing::new((END_OF_TEXT.into(), eos), (START_OF_TEXT.into(), bos));
        inner
            .with_normalizer(Some(normalizer().map_err(bad)?))
            .map_err(bad)?
            .with_pre_tokenizer(Some(pre_tokenizer().map_err(bad)?))
            .with_decoder(Some(ByteLevelDecoder::default()))
            .with_post_processor(Some(ends.trim_offsets(false).add_prefix_space(false)));
        inner.add_special_tokens([START_OF_TEXT, END_OF_TEXT].map(|t| AddedToken::from(t, true))).map_err(bad)?;
        Self::checked(path, inner)
    }

    /// Accepts a tokenizer that puts CLIP's two tokens around a prompt.
    fn checked(path: &Path, inner: tokenizers::Tokenizer) -> Result<Self, TokenizerError> {
        let ends = inner.encode("", true).map_err(|e| files::format(path, e))?;
        let known = [START_OF_TEXT, END_OF_TEXT].map(|token| inner.token_to_id(token));
        match (ends.get_ids(), known) {
            (&[bos, eos], [Some(start), Some(end)]) if (bos, eos) == (start, end) => Ok(Self { inner, bos, eos }),
            _ => Err(files::format(
                path,
                format!("not a CLIP tokenizer: it does not put {START_OF_TEXT} and {END_OF_TEXT} around a prompt"),
            )),
        }
    }

    /// Ids of a prompt, unpadded, with start and end token.
    ///
    /// A prompt of more than `max_tokens` ids loses its last words; the end token stays. A special token
    /// that is spelled out in the prompt counts as that token.
    ///
    /// # Errors
    /// `max_tokens` below 2.
    pub fn encode(&self, prompt: &str, max_tokens: usize) -> Result<Vec<u32>, TokenizerError> {
        if max_tokens < 2 {
            return Err(TokenizerError::NoRoom(max_tokens));
        }
        let encoding = self
            .inner
            .encode_fast(prompt, true)
            .map_err(|source| TokenizerError::Text { text: prompt.to_owned(), source })?;
        let mut ids = encoding.get_ids().to_vec();
        if ids.len() > max_tokens {
            ids.truncate(max_tokens - 1);
            ids.push(self.eos);
        }
        Ok(ids)
    }

    /// The text of some ids, without special tokens.
    ///
    /// Lower case and with single spaces between words: what normalisation dropped does not come back.
    ///
    /// # Errors
    /// Ids whose tokens cannot be joined.
    pub fn decode(&self, ids: &[u32]) -> Result<String, TokenizerError> {
        let joined =
            self.inner.decode(ids, true).map_err(|source| TokenizerError::Text { text: format!("{ids:?}"), source })?;
        Ok(joined.replace(END_OF_WORD, " ").trim_end().to_owned())
    }

    /// Id of the start token.
    pub fn bos(&self) -> u32 {
        self.bos
    }

    /// Id of the end token.
    pub fn eos(&self) -> u32 {
        self.eos
    }

    /// Whether an id is that of a token that means something else than letters, such as start and end.
    pub fn is_special(&self, id: u32) -> bool {
        let added = self.inner.get_added_tokens_decoder();
        id == self.bos || id == self.eos || added.get(&id).is_some_and(|token| token.special)
    }

    /// Number of ids: rows of the embedding table that the text tower needs.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }
}

/// The words of a text, spelled with the byte characters, as the merges see them.
///
/// # Errors
/// A text that the splitting pattern cannot handle.
pub fn words(text: &str) -> Result<Vec<String>, TokenizerError> {
    let split = || -> Result<Vec<String>, tokenizers::Error> {
        let mut pieces = PreTokenizedString::from(text);
        let normalizer = normalizer()?;
        pieces.normalize(|piece| normalizer.normalize(piece))?;
        pre_tokenizer()?.pre_tokenize(&mut pieces)?;
        let splits = pieces.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        Ok(splits.into_iter().map(|(word, _, _)| word.to_owned()).collect())
    };
    split().map_err(|source| TokenizerError::Text { text: text.to_owned(), source })
}

/// The characters that stand for the 256 bytes, in the order in which CLIP numbers them: the printable ones
/// of Latin-1 stand for themselves, the others are moved above it.
pub fn byte_characters() -> impl Iterator<Item = char> {
    let printable = ('!'..='~').chain('¡'..='¬').chain('®'..='ÿ');
    let moved = 256 - printable.clone().count() as u32;
    printable.chain((0..moved).filter_map(|n| char::from_u32(256 + n)))
}

fn normalizer() -> Result<NormalizerWrapper, tokenizers::Error> {
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".into()), " ")?;
    Ok(Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()]).into())
}

fn pre_tokenizer() -> Result<PreTokenizerWrapper, tokenizers::Error> {
    let words = Split::new(SplitPattern::Regex(WORD.into()), SplitDelimiterBehavior::Removed, true)?;
    let bytes = ByteLevel::default().add_prefix_space(false);
    Ok(PreTokenizers::new(vec![words.into(), bytes.into()]).into())
}
