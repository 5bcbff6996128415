"""Byte-level BPE vocabularies in CLIP's format: a small one made here, or CLIP's own."""

import gzip
import json
from collections import Counter
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
PHRASES = """
a photo of a polyp|one small pink round polyp in the lining of the colon|a skin lesion with irregular border
left ventricular cavity in the four-chamber view of the heart|myocardium|left atrium|foot ulcer|benign tumour
a medical image of a brown melanoma at the center|breast lesion in an ultrasound image|the lung in a chest x-ray
an endoscopy image with two large yellow flat polyps which are small lumps located in the top left of the image
""".replace("\n", "|").strip("|").split("|")


def byte_characters() -> list[str]:
    """The 256 printable stand-ins for bytes, in the order of CLIP's vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def learn_merges(phrases: list[str], count: int) -> list[str]:
    """The most frequent neighbours, merged again and again (ASCII phrases; ties go to the first in order)."""
    words = Counter(word for phrase in phrases for word in phrase.split())
    pieces = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    merges = []
    for _ in range(count):
        pairs = Counter()
        for word, times in words.items():
            for pair in zip(pieces[word], pieces[word][1:]):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(" ".join(best))
        for word, old in pieces.items():
            new = []
            for piece in old:
                if new and (new[-1], piece) == best:
                    new[-1] += piece
                else:
                    new.append(piece)
            pieces[word] = new
    return merges


def small() -> list[str]:
    return learn_merges(PHRASES, 150)


def clip(path: Path) -> list[str]:
    """CLIP's merges from its `bpe_simple_vocab_16e6.txt.gz`."""
    lines = gzip.open(path, "rt", encoding="utf-8").read().split("\n")
    return lines[1 : 49152 - 256 - 2 + 1]


def write(folder: Path, merges: list[str], one_file: bool) -> int:
    """Writes vocab.json and merges.txt, with `one_file` tokenizer.json too; answers the size of the vocabulary."""
    characters = byte_characters()
    tokens = [*characters, *(c + "</w>" for c in characters), *("".join(m.split()) for m in merges), START, END]
    if len(set(tokens)) != len(tokens):
        raise ValueError("two merges make the same token")
    vocabulary = {token: i for i, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    special = dict(bos_token=START, eos_token=END, unk_token=END, pad_token=END)
    (folder / "tokenizer_config.json").write_text(json.dumps(
        dict(tokenizer_class="CLIPTokenizer", do_lower_case=True, model_max_length=77, **special), indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps(special, indent=2) + "\n")
    if one_file:
        from transformers import CLIPTokenizer

        backend = CLIPTokenizer.from_pretrained(folder).backend_tokenizer
        (folder / "tokenizer.json").write_text(backend.to_str(pretty=False))
    return len(tokens)
