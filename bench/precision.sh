#!/usr/bin/env bash
# Attacks the demo model's validation images in every number format that the program offers, and writes into
# docs/bench-step.md whether half precision weakens the attack.
#
#   bench/precision.sh DATA [LIMIT]
#
# DATA and LIMIT as for scripts/demo-tables.sh; about 15 minutes on two cores. Fails if a mean DSC is further than 0.01
# from that of f32.
set -euo pipefail
data=$(realpath "$1")
limit=${2:-6}
cd "$(dirname "$0")/.."
out=out/bench-precision
sets=(kvasir_polyp isic2017_skin hc18_fetal_head montgomery_lungs dsb2018_fluorescence dsb2018_histology)
folders=()
for set in "${sets[@]}"; do folders+=(--data "$data/$set"); done

cargo build --release --locked --bin segprobe
PYTHONPATH=scripts:bench python3 -m step.precision --segprobe target/release/segprobe --out "$out" \
    -- "${folders[@]}" --split validation --limit "$limit" --method pgd --steps 40 --epsilon 2,8 --unit pixel255
