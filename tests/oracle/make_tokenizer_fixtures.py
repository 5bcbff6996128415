#!/usr/bin/env python3
"""Write tests/fixtures/tokenizer/: a reduced CLIP tokenizer and the ids that transformers gives with it.

    python make_tokenizer_fixtures.py bpe_simple_vocab_16e6.txt.gz [--merges 300] [--out FOLDER]

The merges file is the one of OpenAI's CLIP (MIT licence, also in the open-clip-torch wheel). With
`--merges 48894` the tokenizer is the full one, of 49408 tokens.
"""
import argparse
import gzip
import json
from pathlib import Path

from transformers import CLIPTokenizer

PROMPTS = [
    "",
    "polyp",
    "a photo of a polyp",
    "A Photo of a POLYP!",
    "  one   small, pink  polyp's   edge ",
    "left ventricular cavity in the four-chamber view",
    "naïve café – 2.5 mm lesion №7",
    "cafe\u0301 and caf\u00e9",
    "日本語のテキスト",
    "polyp 😀 12345",
    "it's we'll they've I'm he'd you're don't",
    "IT'S THE ΣΊΣΥΦΟΣ İstanbul STRAẞE",
    "<|endoftext|> polyp",
    "pre<|startoftext|>mid",
    "a\tb\nc\u00a0d\u3000e\u200bf",
    "--- ((a)) //b\\\\ c_d",
    "x" * 40,
    "one small pink round polyp which is a small lump in the lining of colon " * 8,
    "½ ² ٣ Ⅷ",
    "\u0000\u0007 control",
]


def vocabulary(source, count):
    lines = gzip.open(source).read().decode("utf-8").split("\n")
    merges = lines[1 : 1 + count]
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    chars = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
    tokens = chars + [c + "</w>" for c in chars] + ["".join(m.split()) for m in merges]
    return tokens + ["<|startoftext|>", "<|endoftext|>"], merges


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("source", type=Path)
    ap.add_argument("--merges", type=int, default=300)
    ap.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "fixtures" / "tokenizer")
    args = ap.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tokens, merges = vocabulary(args.source, args.merges)
    vocab = {token: i for i, token in enumerate(tokens)}
    assert len(vocab) == len(tokens)
    (args.out / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False, separators=(",", ":")))
    (args.out / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    (args.out / "tokenizer.json").unlink(missing_ok=True)
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77}
    (args.out / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = CLIPTokenizer.from_pretrained(args.out)
    (args.out / "tokenizer_config.json").unlink()
    assert len(tokenizer) == len(tokens)
    tokenizer.backend_tokenizer.save(str(args.out / "tokenizer.json"), pretty=False)
    golden = []
    for prompt in PROMPTS:
        for limit in (77, 8):
            ids = tokenizer(prompt, truncation=True, max_length=limit)["input_ids"]
            text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            golden.append({"prompt": prompt, "max_tokens": limit, "ids": ids, "text": text})
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in golden)
    (args.out / "golden.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
