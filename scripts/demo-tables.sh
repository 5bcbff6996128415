#!/usr/bin/env bash
# Measures the demo model and writes the figures into README.md and models/demo/README.md.
#
#   scripts/demo-tables.sh DATA [LIMIT]
#
# DATA holds the folders named below, each with images/, masks/ and prompts.json (see the model card
# for where they come from); LIMIT is the number of validation images of each set that are attacked.
set -euo pipefail
data=$(realpath "$1")
limit=${2:-6}
cd "$(dirname "$0")/.."
out=out/demo-tables
sets=(kvasir_polyp isic2017_skin hc18_fetal_head montgomery_lungs dsb2018_fluorescence dsb2018_histology)
folders=()
for set in "${sets[@]}"; do folders+=(--data "$data/$set"); done

cargo build --release --locked
target/release/segprobe evaluate "${folders[@]}" --split validation --method none --out "$out/clean"
target/release/segprobe evaluate "${folders[@]}" --split validation --limit "$limit" \
    --method fgsm --method pgd --steps 40 --epsilon 1,2,4,8 --unit pixel255 --out "$out/attacked"

PYTHONPATH=scripts python3 - "$out" "$limit" <<'PY'
import sys
from pathlib import Path

from pages import fill

out, limit = Path(sys.argv[1]), sys.argv[2]
summary = (out / "attacked" / "summary.md").read_text()
# the table by data set and the checks that apply; the table by attack says the same again
by_set, rest = summary.split("\nAll images;")
checks = rest[rest.index("\nChecks") :].splitlines(keepends=True)
attacked = by_set + "".join(line for line in checks if not line.startswith("- not applicable"))
intro = (
    f"Mean DSC on {limit} validation images of each set (spread evenly over the file names), L-inf, epsilon in levels of 255,\n"
    "PGD with 40 steps; made by `scripts/demo-tables.sh DATA`.\n\n"
)
fill(Path("README.md"), {"strength": intro + attacked})
fill(Path("models/demo/README.md"), {"card": (out / "clean" / "summary.md").read_text()})
PY
