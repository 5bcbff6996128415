"""Attacks some of the same images with other libraries, and has `segprobe` score the files that come of it.

    python -m strength.peers DATA --segprobe PROGRAM --out OUT [--every N]

OUT/attacks holds what bench/strength.sh wrote before; every N-th of its images is attacked.
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path

import torch

from . import libraries, model
from .results import EPSILONS, read, slug


def refusals(two_classes, x, y) -> dict[str, str]:
    """Why the attacks that are made for one label an image do not run."""
    found = {}
    for name, attack in libraries.REFUSED.items():
        try:
            attack(two_classes, x, y, 8 / 255)
            found[name] = "runs, contrary to what this page says"
        except Exception as error:  # noqa: BLE001: whatever a library says of it is what is to be reported
            found[name] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}".strip(": ")
    return found


def attack_image(two_classes, data: Path, place: tuple[str, str], out: Path, levels: dict):
    """Writes the files of all libraries, each in a data set of its own: OUT/<library>/<epsilon>/<set>; `levels` notes the
    largest change of any file, in levels of 255."""
    set_name, image = place
    x, mask_file = model.picture(data / set_name / "images" / image), mask_of(data / set_name, image)
    y = model.mask(mask_file)
    for name, (_, attack) in libraries.ATTACKS.items():
        for epsilon in EPSILONS:
            torch.manual_seed(0)
            adversarial = attack(two_classes, x, y, int(epsilon) / 255)
            folder = out / slug(name) / epsilon / set_name
            for part in ("images", "masks"):
                (folder / part).mkdir(parents=True, exist_ok=True)
            stem = Path(image).stem
            file = folder / "images" / f"{stem}.png"
            model.save(adversarial, file)
            change = round(float((model.picture(file) - x).abs().max() * 255))
            levels[name][epsilon] = max(change, levels[name].get(epsilon, 0))
            shutil.copy(mask_file, folder / "masks" / f"{stem}{mask_file.suffix}")
            listed = folder / "prompts.json"
            prompts = json.loads(listed.read_text()) if listed.exists() else {}
            prompts[f"{stem}.png"] = model.prompts(data / set_name)[image]
            listed.write_text(json.dumps(prompts))


def mask_of(folder: Path, image: str) -> Path:
    return next((folder / "masks").glob(f"{Path(image).stem}.*"))


def score(segprobe: str, out: Path):
    """The product's own scores of every library's files."""
    for library in libraries.ATTACKS:
        for epsilon in EPSILONS:
            folders = sorted((out / slug(library) / epsilon).glob("*/prompts.json"))
            data = [argument for folder in folders for argument in ("--data", str(folder.parent))]
            subprocess.run([segprobe, "evaluate", *data, "--method", "none",
                            "--out", str(out / "scores" / f"{slug(library)}-{epsilon}")],
                           check=True, stdout=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--segprobe", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--every", type=int, default=3)
    asked = parser.parse_args()
    out = asked.out / "peers"
    shutil.rmtree(out, ignore_errors=True)
    places = list(dict.fromkeys((row.set, row.image) for row in read(asked.out / "attacks" / "results.csv")))[:: asked.every]
    refused, levels = {}, {name: {} for name in libraries.ATTACKS}
    for number, (set_name, image) in enumerate(places, 1):
        two_classes = model.TwoClasses(model.prompts(asked.data / set_name)[image])
        if not refused:
            folder = asked.data / set_name
            refused = refusals(two_classes, model.picture(folder / "images" / image), model.mask(mask_of(folder, image)))
        attack_image(two_classes, asked.data, (set_name, image), out, levels)
        print(f"{number} of {len(places)}: {set_name}/{image}", flush=True)
    ran = {name: {"ours": ours, "levels": levels[name]} for name, (ours, _) in libraries.ATTACKS.items()}
    (out / "ran.json").write_text(json.dumps(ran, indent=1))
    (out / "refused.json").write_text(json.dumps(refused, indent=1))
    score(asked.segprobe, out)


if __name__ == "__main__":
    main()
