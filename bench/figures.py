#!/usr/bin/env python3
"""Draws what every attack does to a sample: docs/figures/attacks.jpg and docs/figures/corruptions.jpg.

    python bench/figures.py --segprobe PROGRAM [--sample polyp] [--prompt polyp]

Needs Pillow and numpy. The outline of the reference is green, that of the model's answer to the adversarial file red.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ROOT = Path(__file__).resolve().parents[1]
SIDE, CAPTION, COLUMNS = 176, 30, 6
# What a method needs besides its defaults to be seen at its work in little time.
FLAGS = {
    "boundary": ["--norm", "l2", "--epsilon", "20000"],
    "cw": ["--norm", "l2", "--epsilon", "4000"],
    "universal": None,  # needs a perturbation that was trained before
    "corruption": None,  # has a figure of its own
}
EPSILON = ["--epsilon", "8"]
GROUPS = {"common", "endoscopy", "dermoscopy", "ultrasound", "xray", "mri", "all"}


def run(program: str, asked, flags: list[str]) -> tuple[Image.Image, np.ndarray, dict]:
    """The adversarial image, the answer to it and the result."""
    with tempfile.TemporaryDirectory() as out:
        sample = f"{asked.sample}.png"
        command = [program, "attack", "--image", str(ROOT / "samples/images" / sample), "--mask",
                   str(ROOT / "samples/masks" / sample), "--prompt", asked.prompt, "--out", out, *flags]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        found = Path(out)
        answer = np.array(Image.open(found / "mask_adversarial.png").convert("L")) > 127
        return Image.open(found / "adversarial.png").convert("RGB"), answer, json.loads((found / "result.json").read_text())


def outline(mask: np.ndarray) -> np.ndarray:
    inner = mask.copy()
    inner[1:] &= mask[:-1]
    inner[:-1] &= mask[1:]
    inner[:, 1:] &= mask[:, :-1]
    inner[:, :-1] &= mask[:, 1:]
    return mask & ~inner


def tile(image: Image.Image, reference: np.ndarray, answer: np.ndarray, caption: str) -> Image.Image:
    pixels = np.array(image)
    pixels[outline(reference)] = (40, 220, 80)
    pixels[outline(answer)] = (240, 50, 50)
    picture = Image.new("RGB", (SIDE, SIDE + CAPTION), "white")
    picture.paste(Image.fromarray(pixels).resize((SIDE, SIDE), Image.LANCZOS), (0, 0))
    ImageDraw.Draw(picture).multiline_text((3, SIDE + 2), caption, fill="black", spacing=2)
    return picture


def sheet(tiles: list[Image.Image], path: Path):
    rows = -(-len(tiles) // COLUMNS)
    picture = Image.new("RGB", (COLUMNS * (SIDE + 4), rows * (SIDE + CAPTION + 4)), "white")
    for at, one in enumerate(tiles):
        picture.paste(one, (at % COLUMNS * (SIDE + 4), at // COLUMNS * (SIDE + CAPTION + 4)))
    path.parent.mkdir(exist_ok=True)
    picture.save(path, quality=85)


def schemas(program: str) -> dict:
    document = json.loads(subprocess.run([program, "openapi"], check=True, capture_output=True).stdout)
    return document["components"]["schemas"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--segprobe", required=True)
    parser.add_argument("--sample", default="polyp")
    parser.add_argument("--prompt", default="polyp")
    asked = parser.parse_args()
    reference = np.array(Image.open(ROOT / f"samples/masks/{asked.sample}.png").convert("L")) > 127

    def drawn(name: str, flags: list[str]) -> Image.Image:
        image, answer, result = run(asked.segprobe, asked, flags)
        dsc = result["adversarial_file"]["dsc"]
        print(name, f"{dsc:.3f}", flush=True)
        return tile(image, reference, answer, f"{name}\nDSC {dsc:.2f}")

    tiles = []
    known = schemas(asked.segprobe)
    for name in known["AttackSpec"]["discriminator"]["mapping"]:
        extra = FLAGS.get(name, [])
        if extra is None:
            continue
        try:
            tiles.append(drawn(name, ["--method", name, *(extra or EPSILON)]))
        except subprocess.CalledProcessError:  # a method without a budget refuses --epsilon
            tiles.append(drawn(name, ["--method", name]))
    sheet(tiles, ROOT / "docs/figures/attacks.jpg")
    kinds = [kind for kind in known["CorruptionKind"]["enum"] if kind not in GROUPS]
    sheet([drawn(kind, ["--method", "corruption", "--kind", kind, "--severity", "4"]) for kind in kinds],
          ROOT / "docs/figures/corruptions.jpg")


if __name__ == "__main__":
    main()
