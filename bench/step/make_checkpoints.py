#!/usr/bin/env python3
"""Writes the checkpoints that are timed, each with the picture, mask and prompt of one sample.

    python make_checkpoints.py --out FOLDER --clip-vocabulary bpe_simple_vocab_16e6.txt.gz [--sizes full small]

Weights are the seeded ones of tests/oracle. image.png and mask.png have the model's input size, so that no resize
stands between two programs that are compared.
"""

import argparse
import json
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "oracle"))

import checkpoints  # noqa: E402
import vocabulary  # noqa: E402
from make_parity_fixtures import write_checkpoint  # noqa: E402

SAMPLE = "polyp"


def write_sample(folder: Path, side: int):
    samples = ROOT / "samples"
    image = Image.open(samples / "images" / f"{SAMPLE}.png").convert("RGB")
    mask = Image.open(samples / "masks" / f"{SAMPLE}.png").convert("L")
    image.resize((side, side), Image.Resampling.BILINEAR).save(folder / "image.png")
    mask.resize((side, side), Image.Resampling.NEAREST).point(lambda v: 255 * (v > 127)).save(folder / "mask.png")
    prompts = json.loads((samples / "prompts.json").read_text())
    (folder / "prompt.txt").write_text(prompts[f"{SAMPLE}.png"] + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", choices=checkpoints.GEOMETRIES, default=["full", "small"])
    parser.add_argument("--clip-vocabulary", type=Path, required=True, help="CLIP's merges, a file of open-clip-torch")
    asked = parser.parse_args()
    merges = vocabulary.clip(asked.clip_vocabulary)
    for size in asked.sizes:
        folder = asked.out / size
        if (folder / "prompt.txt").exists():
            continue
        write_checkpoint(folder, size, merges)
        # Last: where it stands, the folder is complete.
        write_sample(folder, checkpoints.GEOMETRIES[size].input)
        print(f"wrote {folder}", flush=True)


if __name__ == "__main__":
    main()
