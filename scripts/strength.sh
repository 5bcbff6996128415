#!/usr/bin/env bash
# Attacks the demo model's validation images with every family of methods and writes docs/strength.md.
#
#   scripts/strength.sh DATA [LIMIT]
#
# DATA as for scripts/demo-tables.sh; LIMIT is the number of validation images of each set (6 if left out). About two
# minutes an image on two cores. SEGPROBE names a program that is built already.
set -euo pipefail
data=$(realpath "$1")
limit=${2:-6}
cd "$(dirname "$0")/.."
out=out/strength
sets=(kvasir_polyp isic2017_skin hc18_fetal_head montgomery_lungs dsb2018_fluorescence dsb2018_histology)
folders=()
for set in "${sets[@]}"; do folders+=(--data "$data/$set"); done
segprobe=${SEGPROBE:-target/release/segprobe}
[ -n "${SEGPROBE:-}" ] || cargo build --release --locked

# run NAME FLAG...: one table
run() {
    "$segprobe" evaluate "${folders[@]}" --split validation --limit "$limit" --epsilon 1,2,4,8 --unit pixel255 \
        --out "$out/$1" "${@:2}"
}
run white-box --method fgsm --method mi_fgsm --method pgd --method apgd --method strongest --steps 40
run black-box --method noise --method square --method square_mask --parameter queries=100

python3 - "$out" "$limit" <<'PY'
import pathlib
import re
import sys

out, limit = pathlib.Path(sys.argv[1]), sys.argv[2]
page = pathlib.Path("docs/strength.md")
text = page.read_text()
for name in ("white-box", "black-box"):
    summary = (out / name / "summary.md").read_text().rstrip()
    text = re.sub(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", lambda m: m[1] + summary + "\n" + m[2], text, flags=re.S)
text = re.sub(r"(<!-- limit:begin -->).*?(<!-- limit:end -->)", lambda m: f"{m[1]}{limit}{m[2]}", text, flags=re.S)
page.write_text(text)
PY
