//! The ids that transformers' `CLIPTokenizer` gives, made by `tests/oracle/make_tokenizer_fixtures.py` for
//! the first merges of CLIP's vocabulary.

use std::path::{Path, PathBuf};

use segprobe::model::tokenizer::Tokenizer;
use serde::Deserialize;

const VOCAB: &[u8] = include_bytes!("fixtures/tokenizer/vocab.json");
const MERGES: &[u8] = include_bytes!("fixtures/tokenizer/merges.txt");
const ONE_FILE: &[u8] = include_bytes!("fixtures/tokenizer/tokenizer.json");

#[derive(Deserialize)]
struct Golden {
    prompt: String,
    max_tokens: usize,
    ids: Vec<u32>,
    text: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tokenizer").join(name)
}

/// A folder with the given files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[test]
fn both_ways_of_loading_give_the_ids_of_transformers() {
    let golden: Vec<Golden> = serde_json::from_slice(&std::fs::read(fixture("golden.json")).unwrap()).unwrap();
    assert_eq!(golden.len(), 40);
    let one_file = Tokenizer::from_tokenizer_json(ONE_FILE).unwrap();
    let two_files = Tokenizer::from_vocab_and_merges(VOCAB, MERGES).unwrap();
    for Golden { prompt, max_tokens, ids, text } in &golden {
        for tokenizer in [&one_file, &two_files] {
            assert_eq!(&tokenizer.encode(prompt, *max_tokens).unwrap(), ids, "{prompt:?}");
            assert_eq!(&tokenizer.decode(ids).unwrap(), text, "{prompt:?}");
        }
    }
}

#[test]
fn a_folder_is_read_from_one_file_or_from_two() {
    let one = Tokenizer::open(folder(&[("tokenizer.json", ONE_FILE)]).path()).unwrap();
    let two = Tokenizer::open(folder(&[("vocab.json", VOCAB), ("merges.txt", MERGES)]).path()).unwrap();
    for tokenizer in [one, two] {
        let size = tokenizer.vocab_size() as u32;
        assert_eq!((tokenizer.bos(), tokenizer.eos()), (size - 2, size - 1));
        assert_eq!(tokenizer.encode("", 2).unwrap(), [tokenizer.bos(), tokenizer.eos()]);
        assert!(tokenizer.encode("", 1).unwrap_err().to_string().contains("at least 2"));
    }
}

#[test]
fn truncation_and_padding_of_a_file_are_not_obeyed() {
    let mut file: serde_json::Value = serde_json::from_slice(ONE_FILE).unwrap();
    file["truncation"] =
        serde_json::json!({"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0});
    file["padding"] = serde_json::json!({"strategy": {"Fixed": 77}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "!"});
    let tokenizer = Tokenizer::from_tokenizer_json(file.to_string().as_bytes()).unwrap();
    let plain = Tokenizer::from_tokenizer_json(ONE_FILE).unwrap();
    let prompt = "a photo of a polyp";
    assert_eq!(tokenizer.encode(prompt, 77).unwrap(), plain.encode(prompt, 77).unwrap());
}

#[test]
fn missing_and_damaged_files_are_named() {
    let without_merges = folder(&[("vocab.json", VOCAB)]);
    let error = Tokenizer::open(without_merges.path()).unwrap_err().to_string();
    assert!(error.contains("merges.txt"), "{error}");

    let vocab = |text: &str| Tokenizer::from_vocab_and_merges(text.as_bytes(), b"").unwrap_err().to_string();
    for (text, wanted) in [
        ("", "not a map"),
        ("[1]", "not a map"),
        (r#"{"a": 0, "b": 0}"#, "the id 0"),
        (r#"{"a": 0, "b": 7}"#, "id 7 is out of range"),
        (r#"{"a": 0}"#, "not a CLIP vocabulary"),
    ] {
        let error = vocab(text);
        assert!(error.contains("vocab.json") && error.contains(wanted), "{text}: {error}");
    }

    for (text, wanted) in [
        (&b"#version: 0.2\ni n\nhalf"[..], "line 3"),
        (b"i n x", "line 1"),
        (b"\xff\xfe", "utf-8"),
        (b"polyp polyp", "no token \"polyp\""),
        (b"z z", "no token \"zz\""),
    ] {
        let error = Tokenizer::from_vocab_and_merges(VOCAB, text).unwrap_err().to_string();
        assert!(error.contains("merges.txt") && error.contains(wanted), "{error}");
    }
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let changed = |change: fn(&mut serde_json::Value)| {
        let mut file: serde_json::Value = serde_json::from_slice(ONE_FILE).unwrap();
        change(&mut file);
        Tokenizer::from_tokenizer_json(file.to_string().as_bytes()).unwrap_err().to_string()
    };
    let error = changed(|file| file["post_processor"] = serde_json::Value::Null);
    assert!(error.contains("tokenizer.json") && error.contains("around a prompt"), "{error}");
    let error = changed(|file| file["model"]["type"] = "WordPiece".into());
    assert!(error.contains("tokenizer.json"), "{error}");
    let error = changed(|file| file["model"]["merges"] = serde_json::json!([["polyp", "polyp"]]));
    assert!(error.contains("no token \"polyp\""), "{error}");
    assert!(Tokenizer::from_tokenizer_json(&ONE_FILE[..5000]).unwrap_err().to_string().contains("tokenizer.json"));
}
